"""The published networks of ProxylessNAS as compact genotypes: which operation was chosen where, and nothing else.

Source: the choices were read off the authors' released descriptions ``proxyless_cifar.config``,
``proxyless_mobile.config``, ``proxyless_mobile_14.config``, ``proxyless_cpu.config`` and ``proxyless_gpu.config``
(han-cai/files at a7c9bcd, folder ``proxylessnas``), which are not part of this package. Letters are those of
`auditor.models.genotype.TREE_OPS`. The structure around them is that of `auditor.models.proxyless`; parameters and MACs
are tested against the published figures, and every choice against the descriptions themselves where a folder with them
is given.
"""

from __future__ import annotations

from auditor.models.genotype import MbStage, MobileGenotype, TreeGenotype

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


def _mobile(stem: int, first: int, head: int, stages: str) -> MobileGenotype:
    """``"32/2:e3k5 ..."``: width, stride, blocks; zeros at the end of a stage are left out."""
    parsed = []
    for stage in stages.split(";"):
        size, _, blocks = stage.strip().partition(":")
        width, stride = size.split("/")
        parsed.append(MbStage(width=int(width), stride=int(stride), blocks=tuple(blocks.split())))
    return MobileGenotype(stem=stem, first=first, head=head, stages=tuple(parsed))


#: ImageNet networks. Parameters and MACs at 1,000 classes and 224 px, in millions: mobile 4.08 and 320.4, the same at
#: 1.4 times its width 6.86 and 580.9, CPU 4.36 and 439.2, GPU 7.12 and 465.3.
MOBILE = _mobile(
    32,
    16,
    1280,
    "32/2: e3k5 e3k3 zero zero; 40/2: e3k7 e3k3 e3k5 e3k5; 80/2: e6k7 e3k5 e3k5 e3k5; 96/1: e6k5 e3k5 e3k5 e3k5;"
    "192/2: e6k7 e6k7 e3k7 e3k7; 320/1: e6k7",
)
MOBILE_14 = _mobile(
    48,
    24,
    1792,
    "40/2: e3k5 e3k3 zero zero; 56/2: e3k7 e3k3 e3k5 e3k5; 112/2: e6k7 e3k5 e3k5 e3k5; 136/1: e6k5 e3k5 e3k5 e3k5;"
    "256/2: e6k7 e6k7 e3k7 e3k7; 448/1: e6k7",
)
CPU = _mobile(
    40,
    24,
    1432,
    "32/2: e6k3 e3k3 e3k3 e3k3; 48/2: e6k3 e3k3 e3k3 e3k5; 88/2: e6k3 zero zero e3k3; 104/1: e6k5 e3k3 e3k3 e3k3;"
    "216/2: e6k5 e3k5 e3k5 e3k3; 360/1: e6k5",
)
GPU = _mobile(
    40,
    24,
    1728,
    "32/2: e3k5 zero zero zero; 56/2: e3k7 zero zero e3k3; 112/2: e6k7 zero zero e3k5; 128/1: e6k5 zero e3k3 e3k5;"
    "256/2: e6k7 e6k7 e6k7 e6k5; 432/1: e6k7",
)
#: By the variant that names them, ``proxyless:mobile``.
PUBLISHED: dict[str, TreeGenotype | MobileGenotype] = {
    "cifar": CIFAR,
    "mobile": MOBILE,
    "mobile14": MOBILE_14,
    "cpu": CPU,
    "gpu": GPU,
}
