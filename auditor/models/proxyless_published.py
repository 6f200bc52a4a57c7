"""The published CIFAR-10 network of ProxylessNAS as a compact genotype: which operation was chosen where.

Source: the choices were read off the authors' released description ``proxyless_cifar.config`` (han-cai/files at
a7c9bcd, folder ``proxylessnas``), which is not part of this package. Letters are those of
`auditor.models.genotype.TREE_OPS`; the structure around them is that of `auditor.models.proxyless`. Parameters and MACs
are tested against the published figures, and every choice against the description itself where a folder with it is
given.
"""

from __future__ import annotations

from auditor.models.genotype import TreeGenotype

__all__ = ["CIFAR"]

_CIFAR_CELLS = """
7mdi7m5d5577 aiaa3im7didd 7i3a5a3d3ad5 a55d3dd773i7 ai5dd57m7aim 7m7m35a7d3ii dmim777753ii dd5757m5aa37
7d5miimm3aad 5i3i373i5757 7a7535diadd3 5da533a577d3 mm737d3ma57i 37md7d5di373 dam3ddai5i5i 5id5aad55573
7555d3idm737 mdii3i7m57id dm5aa75a73am 7di7i7dm37m5 mda3idmmm5ia da73a33a7idd dmma7i7ddiam 75m7mimiadm7
i5a5m5dd7adm 3iadddd3aaa3 d7m7immm555d 3773aim737mm 7577a333ida3 5iaia5a73aam i3adi7ia7mid 7m5i7dm7dm77
37m3i353i35i d7d3d73i3dmi mii55a37aiad 7m75da737555 aaaada7i5iia m7ia5iiiai7i d37mi5ai3ima 77a5a3mia3mm
iia7i7ima5a7 di5im575d7id mmiaamdai53i 77577ad73m7a dadmd37didm5 adam3mdi7dai mma7335daii3 5d7dimm735mi
773mdam5mm5m m5iad3537377 i3a577i7773a 5m53ai55am5i 3md3mai7md33 773m5i5mm337
"""
#: The CIFAR-10 network: 5,731,530 parameters, 1,213.2 million MACs.
CIFAR = TreeGenotype(cells=tuple(_CIFAR_CELLS.split()))
