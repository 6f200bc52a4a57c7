"""What the maps say, line by line, and their deletion and insertion curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auditor.report.charts import BLUE, RED, chart_svg
from auditor.report.markdown import ABSENT, interval, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FIGURES = (
    ("centre_share", "map mass in the central quarter (the rest is border)"),
    ("control_centre_share", "the same, shuffled map"),
    ("deletion_area", "deletion area"),
    ("deletion_less_control", "deletion area less control's (below 0: the map is better)"),
    ("insertion_area", "insertion area"),
    ("insertion_less_control", "insertion area less control's (above 0: the map is better)"),
    ("drop_centre_greyed", "drop of P with the centre greyed"),
    ("drop_border_greyed", "drop of P with the border greyed"),
    ("drop_centre_less_border", "drop by the centre less drop by the border"),
)
_BY_CLASS = (
    ("centre_share", "central mass"),
    ("deletion_less_control", "deletion less control"),
    ("insertion_less_control", "insertion less control"),
    ("drop_centre_less_border", "centre less border"),
)


def _cell(value: tuple[float, float | None, float | None] | None) -> str:
    return ABSENT if value is None else interval(value[0], value[1:], ".3f", 1)


def saliency_lines(found: Mapping[str, Any]) -> list[str]:
    """Measures of the maps by source, by right and wrong, by class; curves; pictures."""
    groups = found["groups"]
    main = [name for name in ("all", "FAKE", "REAL", "right", "wrong") if name in groups]
    by_class = [name for name in groups if name.startswith(("FAKE ", "REAL "))]
    centre, border = found["occluded_areas"]
    rows = "; ".join(f"{row['group']} ({len(row['ids'])})" for row in found["sheet"])
    return [
        f"Grad-CAM of the last convolution for the predicted class, network `{found['network']}`, {found['n']:,} test "
        "images drawn by seed, equally many of each source and class, none with a copy in the train split; "
        f"{found['empty_maps']} maps are empty. Means with 95 % intervals over images; one network, so the spread over "
        "trainings is not in them. Control: the same map with its cells shuffled. P: probability of the predicted "
        "class. Pixels are greyed to the mean of the training images, which is itself unlike any real picture; greyed "
        f"centre {100 * centre:.0f} % of the area, greyed border {100 * border:.0f} %.",
        "",
        conclusion(found),
        "",
        *table(
            ["figure", *(f"{name} ({groups[name]['n']:,})" for name in main)],
            [[text, *(_cell(groups[name][key]) for name in main)] for key, text in _FIGURES],
        ),
        "",
        "![Mean probability of the predicted class while pixels are deleted and inserted, map and control](curves.svg)",
        "",
        "Mean over the images of each source. A map that points at what carries the decision makes deletion fall, and "
        "insertion rise, before its control.",
        "",
        "By source and class:",
        "",
        *table(
            ["images (n)", *(text for _, text in _BY_CLASS)],
            [
                [f"{name} ({groups[name]['n']:,})", *(_cell(groups[name][key]) for key, _ in _BY_CLASS)]
                for name in by_class
            ],
        ),
        "",
        "![Test images beside their Grad-CAM overlays, right and wrong predictions of both sources](maps.png)",
        "",
        f"Drawn by seed, not chosen; each picture beside its map for the predicted class. Rows from the top: {rows}. "
        "Ids: `looks.sheet` in `results.json`.",
    ]


def conclusion(found: Mapping[str, Any]) -> str:
    """The CIFAKE paper's conclusion against the figures; the words follow from the intervals."""
    everything = found["groups"]["all"]
    area = found["centre_area"]
    mass, effect = everything["centre_share"], everything["drop_centre_less_border"]
    if mass is None or mass[1] is None or effect[1] is None:
        return "Too few maps for a statement."
    if mass[2] < area:
        place = f"less mass in the centre than its area ({100 * area:.0f} %)"
    elif mass[1] > area:
        place = f"more mass in the centre than its area ({100 * area:.0f} %)"
    else:
        place = f"as much mass in the centre as its area ({100 * area:.0f} %)"
    if effect[1] > 0:
        hurt = "greying the centre costs more than greying the border, although the border is larger"
    elif effect[2] < 0:
        hurt = "greying the border costs more than greying the centre"
    else:
        hurt = "greying centre or border costs alike"
    return (
        "The paper concludes that the entity itself holds no useful information and that the network attends to small "
        f"imperfections in the background (published, abstract). Measured here: the maps put {place}, and {hurt}. "
        "Centre and border stand in for object and background, because CIFAKE has no outlines of its objects; one "
        "short-trained network of our choice, not the paper's."
    )


def curves_svg(curves: Mapping[str, Any]) -> str:
    """Deletion and insertion curves of maps and their controls, a panel each; `curves` are those of `measure_maps`."""

    def draw(deletion: Axes, insertion: Axes) -> None:
        for axes, kind in ((deletion, "deletion"), (insertion, "insertion")):
            for name, colour in (("FAKE", RED), ("REAL", BLUE)):
                if name in curves:
                    share = [100 * value for value in curves["share"]]
                    axes.plot(share, curves[name][kind], color=colour, label=f"{name}, map")
                    control = curves[name][f"control_{kind}"]
                    axes.plot(share, control, color=colour, linestyle="--", label=f"{name}, shuffled map")
            axes.set_xlabel("pixels, %")
            axes.set_ylim(0, 1)
        deletion.set_title("Deletion: greyed, highest first")
        insertion.set_title("Insertion: onto grey, highest first")
        insertion.legend(loc="lower right")

    return chart_svg(draw, "Mean P(predicted class)", size=(900, 360), panels=2)
