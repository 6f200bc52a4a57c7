"""How likely a box is wrong, and in which way, by what a model found in the same picture.

Nothing is known about wrong boxes, but they are easily made: every given box is also moved, given another class, and
laid over a picture where it was not drawn; and every prediction that a given box explains is also looked at without
that box. How such errors look in the predictions of *this* model is then learned, as the odds of each error against the
boxes as they are given (logistic regressions on the same features, pictures in folds). Given boxes are themselves a
mixture: how much of each error it holds is fitted by EM, and what looks like an error counts less as an example of a
right box.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from scipy.optimize import linear_sum_assignment

from auditor.core.seeds import derive_seed
from auditor.kinds.box_sets import GivenBoxes, PredictedBoxes
from auditor.stats.logistic import fit_logistic

#: The kinds of errors, in the order of the columns of `BoxFit.given`.
LOCATED, SWAPPED, SURPLUS = range(3)
FOLDS: Final = 5
#: Predictions that overlap by this much are one proposal with several classes.
MERGED: Final = 0.6
#: A proposal may explain a given box that it overlaps by this much.
MATCHED: Final = 0.1
#: Overlap from which on a prediction is at the place of a box.
_AT: Final = 0.5
#: Rounds of EM, the share of wrong boxes of each kind before anything is seen, and of how many boxes that is worth.
_ROUNDS, _PRIOR, _PRIOR_BOXES = 4, 0.03, 50.0
#: Strength of the fits, and places tried for a moved box.
_C, _TRIES = 0.5, 8


@dataclass(frozen=True, eq=False)
class BoxFit:
    """What is thought of every given box, and of every proposal that none of them explains.

    Attributes
    ----------
    given : float64 array (m, 3)
        P(the box is badly located), P(of another class), P(there is nothing); 0 for ignored boxes.
    other_class : int64 array (m,)
        The class it would have instead; the given one where nothing speaks for another.
    other_box : float64 array (m, 4)
        Where it would lie instead; the given box where no proposal overlaps it.
    image, category : int64 arrays (p,)
        Picture and likeliest class of each proposal that no box explains.
    boxes : float64 array (p, 4)
    missing : float64 array (p,)
        P(a box is missing there).
    rates : dict
        Estimated share of the given boxes with each error, and of missing ones among all.
    """

    given: np.ndarray
    other_class: np.ndarray
    other_box: np.ndarray
    image: np.ndarray
    category: np.ndarray
    boxes: np.ndarray
    missing: np.ndarray
    rates: dict[str, float]


@dataclass(frozen=True, eq=False)
class _Picture:
    """Given boxes and proposals of one picture.

    Attributes
    ----------
    key : int
        Of its id: folds and made errors depend on it, so that the order of the pictures changes nothing.
    at : int64 array (g,)
        Positions of its given boxes, without ignored ones, among all.
    boxes, classes : (g, 4), (g,)
    crowds : (c, 4)
        Its ignored boxes.
    proposals : (q, 4)
    scores : (q, K)
        Confidence of each class.
    members : (q,)
        Predictions in each.
    partner : int64 array (g,)
        The proposal that explains each given box; -1 for none.
    size : (2,)
    """

    key: int
    at: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    crowds: np.ndarray
    proposals: np.ndarray
    scores: np.ndarray
    members: np.ndarray
    partner: np.ndarray
    size: np.ndarray


def overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes x, y, width, height: (m, 4) and (n, 4) to (m, n)."""
    shared = _shared(a, b)
    area_a, area_b = a[:, 2] * a[:, 3], b[:, 2] * b[:, 3]
    return np.asarray(shared / (area_a[:, None] + area_b[None, :] - shared))


def _shared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, :2] + a[:, None, 2:], b[None, :, :2] + b[None, :, 2:])
    return np.asarray(np.prod(np.maximum(high - low, 0.0), axis=2))


def merged(boxes: np.ndarray, classes: np.ndarray, scores: np.ndarray, n_classes: int) -> tuple[np.ndarray, ...]:
    """Predictions of one picture, those at one place taken together, the most confident first.

    Returns
    -------
    proposals : float64 array (q, 4)
        Mean of the boxes, weighted by their confidence.
    scores : float64 array (q, n_classes)
        The highest of each class.
    members : int64 array (q,)
    """
    order = np.lexsort((*boxes.T, classes, -scores))
    alike = overlaps(boxes, boxes) >= MERGED
    free = np.ones(len(boxes), bool)
    places, confidence, members = [], [], []
    for k in order:
        if not free[k]:
            continue
        group = np.flatnonzero(alike[k] & free)
        free[group] = False
        weight = scores[group] + 1e-9
        places.append(weight @ boxes[group] / weight.sum())
        row = np.zeros(n_classes)
        np.maximum.at(row, classes[group], scores[group])
        confidence.append(row)
        members.append(len(group))
    return (np.array(places).reshape(-1, 4), np.array(confidence).reshape(-1, n_classes), np.array(members, np.int64))


def partners(boxes: np.ndarray, classes: np.ndarray, proposals: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Which proposal explains each given box, int64 (g,), -1 for none; one explains at most one.

    The assignment with the largest sum of overlap, weighed by confidence, and confidence in the given class.
    """
    partner = np.full(len(boxes), -1)
    if not len(boxes) or not len(proposals):
        return partner
    overlap = overlaps(boxes, proposals)
    value = overlap * (0.5 + 0.5 * scores.max(axis=1)) + 0.3 * scores[:, classes].T
    value[overlap < MATCHED] = 0.0
    rows, columns = linear_sum_assignment(-value)
    found = value[rows, columns] > 0
    partner[rows[found]] = columns[found]
    return partner


def fit_boxes(labels: GivenBoxes, predictions: PredictedBoxes) -> BoxFit:
    """Judge every given box and every proposal without one.

    Parameters
    ----------
    labels, predictions :
        Of the same pictures; predictions out of sample, of any confidence.

    Returns
    -------
    BoxFit
    """
    # by the names of the classes, so that their order changes nothing
    by_name = np.array(sorted(range(len(labels.names)), key=lambda k: str(labels.category_ids[k])))
    rank = np.argsort(by_name)
    labels = replace(labels, category=rank[labels.category])
    pictures = _pictures(labels, replace(predictions, category=rank[predictions.category]))
    n_classes = len(labels.names)
    usual = _Usual.of(pictures, n_classes)
    m = len(labels.boxes)
    features: list[list[np.ndarray]] = [[] for _ in range(4)]
    folds: list[list[np.ndarray]] = [[] for _ in range(4)]
    other_class, other_box = labels.category.copy(), labels.boxes.copy()
    at: list[np.ndarray] = []
    open_rows, open_folds, made_rows, made_folds = [], [], [], []
    image, category, boxes = [], [], []
    images = np.argsort([picture.key for picture in pictures], kind="stable")
    following = dict(zip(images.tolist(), np.roll(images, -1).tolist(), strict=True))
    for number, picture in enumerate(pictures):
        fold = picture.key % FOLDS
        if len(picture.at):
            made = _made(picture, pictures[following[number]], n_classes, usual)
            own = np.arange(len(picture.at))
            queries = [(picture.boxes, picture.classes, own, 1.0), *made]
            for kind, (where, what, source, counted) in enumerate(queries):
                rows = _given_features(picture, where, what, source, usual, counted)
                features[kind].append(rows)
                folds[kind].append(np.full(len(rows), fold))
            at.append(picture.at)
            other_class[picture.at], other_box[picture.at] = _instead(picture)
        rows, explained, which = _open_features(picture, usual)
        open_rows.append(rows)
        open_folds.append(np.full(len(rows), fold))
        made_rows.append(explained)
        made_folds.append(np.full(len(explained), fold))
        image.append(np.full(len(which), number))
        category.append(picture.scores[which].argmax(axis=1) if len(which) else np.empty(0, np.int64))
        boxes.append(picture.proposals[which])
    stacked, fold_of = [np.concatenate(part) for part in features], [np.concatenate(part) for part in folds]
    wrong, shares = _mixture(stacked, fold_of)
    given = np.zeros((m, 3))
    given[np.concatenate(at)] = wrong
    missing, lost = _missing(
        np.concatenate(open_rows), np.concatenate(open_folds), np.concatenate(made_rows), np.concatenate(made_folds)
    )
    rates = dict(zip(("badly_located", "swapped", "surplus"), shares.tolist(), strict=True)) | {"overlooked": lost}
    return BoxFit(
        given,
        by_name[other_class],
        other_box,
        np.concatenate(image).astype(np.int64),
        by_name[np.concatenate(category).astype(np.int64)],
        np.concatenate(boxes).reshape(-1, 4),
        missing,
        rates,
    )


def _pictures(labels: GivenBoxes, predictions: PredictedBoxes) -> list[_Picture]:
    n, n_classes = len(labels.ids), len(labels.names)
    of_given, of_found = _grouped(labels.image, n), _grouped(predictions.image, n)
    pictures = []
    for k, called in enumerate(labels.ids):
        mine, found = of_given[k], of_found[k]
        judged = mine[~labels.ignored[mine]]
        judged = judged[np.lexsort((labels.category[judged], *labels.boxes[judged].T))]
        proposals, scores, members = merged(
            predictions.boxes[found], predictions.category[found], predictions.score[found], n_classes
        )
        boxes, classes = labels.boxes[judged], labels.category[judged]
        pictures.append(
            _Picture(
                derive_seed(0, "boxes", str(called)),
                judged,
                boxes,
                classes,
                labels.boxes[mine[labels.ignored[mine]]],
                proposals,
                scores,
                members,
                partners(boxes, classes, proposals, scores),
                labels.sizes[k],
            )
        )
    return pictures


def _grouped(image: np.ndarray, n: int) -> list[np.ndarray]:
    order = np.argsort(image, kind="stable")
    return np.split(order, np.searchsorted(image[order], np.arange(1, n)))


@dataclass(frozen=True, eq=False)
class _Usual:
    """What is usual in this data and for this model.

    Attributes
    ----------
    area : (mean, deviation) of the logarithm of a box's area
    found : (K,)
        Log-odds that a given box of each class has its class predicted there.
    borne_out : (K,)
        Log-odds that a proposal of each class has a given box of it.
    distance : (K,)
        Usual ``log(-log IoU)`` of a right prediction, by class; `slope` by log area.
    confused : (K, K)
        How often boxes of one class (row) are predicted as another (column).
    frequency : (K,)
    """

    area: tuple[float, float]
    found: np.ndarray
    borne_out: np.ndarray
    distance: np.ndarray
    slope: float
    confused: np.ndarray
    frequency: np.ndarray

    @classmethod
    def of(cls, pictures: list[_Picture], n_classes: int) -> _Usual:
        rows, proposed = [], []
        for p in pictures:
            with_partner = np.flatnonzero(p.partner >= 0)
            overlap, said = np.zeros(len(p.boxes)), np.full(len(p.boxes), -1)
            if len(with_partner):
                chosen = p.partner[with_partner]
                overlap[with_partner] = np.diag(overlaps(p.boxes[with_partner], p.proposals[chosen]))
                said[with_partner] = p.scores[chosen].argmax(axis=1)
            rows.append(np.column_stack([p.classes, said, overlap, np.log(p.boxes[:, 2:].prod(axis=1))]))
            if len(p.proposals):
                right = np.zeros(len(p.proposals))
                right[p.partner[with_partner][overlap[with_partner] >= _AT]] = 1.0
                proposed.append(np.column_stack([p.scores.argmax(axis=1), right, p.scores.max(axis=1)]))
        given, found = np.concatenate(rows), np.concatenate(proposed)
        classes, said, overlap, area = given[:, 0].astype(int), given[:, 1].astype(int), given[:, 2], given[:, 3]
        agreed = (said == classes) & (overlap >= _AT)
        mean, deviation = float(area.mean()), float(max(area.std(), 0.1))
        distance, slope, level = np.zeros(n_classes), 0.0, 0.0
        if agreed.any():
            far = np.log(-np.log(np.clip(overlap[agreed], 0.01, 0.99)))
            sizes = (area[agreed] - mean) / deviation
            level = float(far.mean())
            slope = float((sizes * (far - level)).sum() / ((sizes**2).sum() + 10.0))
            counts = np.bincount(classes[agreed], minlength=n_classes)
            sums = np.bincount(classes[agreed], far - level - slope * sizes, minlength=n_classes)
            distance = level + sums / (counts + 10.0)
        confused = np.zeros((n_classes, n_classes))
        at_place = overlap >= _AT
        np.add.at(confused, (classes[at_place], said[at_place]), 1.0)
        frequency = np.bincount(classes, minlength=n_classes).astype(float)
        return cls(
            (mean, deviation),
            _shrunk_logit(classes, agreed, n_classes),
            _shrunk_logit(found[:, 0].astype(int), found[:, 1] > 0, n_classes),
            distance,
            slope,
            confused,
            (frequency + 1) / (frequency + 1).sum(),
        )


def _shrunk_logit(classes: np.ndarray, hit: np.ndarray, n_classes: int) -> np.ndarray:
    overall = (hit.sum() + 1) / (len(hit) + 2)
    counts = np.bincount(classes, minlength=n_classes)
    hits = np.bincount(classes, hit, minlength=n_classes)
    share = (hits + 10 * overall) / (counts + 10)
    return np.asarray(np.log(share / (1 - share)))


def _logit(score: np.ndarray) -> np.ndarray:
    """Log-odds of a confidence, 0 about -4.6."""
    return np.asarray(np.log((score + 0.01) / (1.01 - score)))


def _given_features(
    p: _Picture, boxes: np.ndarray, classes: np.ndarray, source: np.ndarray, usual: _Usual, counted: float
) -> np.ndarray:
    """What the predictions, and the other boxes of the picture, say of boxes (r, 4) that are given there.

    `source` is the given box that each stands for, which is not among its neighbours; -1 where there is none. `counted`
    is how often each is among the counts of `usual`.
    """
    r, g, q = len(boxes), len(p.boxes), len(p.proposals)
    if not r:
        return np.empty((0, _N_GIVEN))
    row = np.arange(r)
    overlap, scores = overlaps(boxes, p.proposals), p.scores
    if not q:
        overlap, scores = np.zeros((r, 1)), np.zeros((1, p.scores.shape[1]))
    any_class, top = scores.max(axis=1), scores.argmax(axis=1)
    same = scores[:, classes].T
    others = scores.copy()
    others[np.arange(len(scores)), top] = -1.0
    second = np.maximum(others.max(axis=1), 0.0)
    other = np.where(top[None, :] == classes[:, None], second[None, :], any_class[None, :])
    here = overlap >= _AT
    same_here, other_here = (same * here).max(axis=1), (other * here).max(axis=1)
    near = (any_class[None, :] * ((overlap >= MATCHED) & ~here)).max(axis=1)
    best = (overlap * (0.02 + any_class[None, :] + same)).argmax(axis=1)
    iou = overlap[row, best]
    iou_same = np.where(same >= 0.1, overlap, 0.0).max(axis=1)
    area = (np.log(boxes[:, 2:].prod(axis=1)) - usual.area[0]) / usual.area[1]
    far = np.minimum(-np.log(np.maximum(iou, 1e-3)), 4.0)
    expected = usual.distance[classes] + usual.slope * area
    unusual = np.clip(np.log(np.maximum(far, 0.01)) - expected, -3.0, 4.0)
    said = top[best]
    differs = (said != classes) & (iou >= MATCHED)
    own = counted * (iou >= _AT)
    # of the boxes that are predicted as `said`, how many have this class, against its frequency
    column = usual.confused[:, said].sum(axis=0) - own
    chance = (usual.confused[classes, said] - own + 5 * usual.frequency[classes]) / (column + 5)
    confusable = np.where(differs, np.log(np.maximum(chance, 1e-9) / usual.frequency[classes]), 0.0)
    rivals, twins, clashes = np.zeros(r), np.zeros(r), np.zeros(r)
    if g:
        among = overlaps(boxes, p.boxes)
        has_source = source >= 0
        among[row[has_source], source[has_source]] = 0.0
        equal = p.classes[None, :] == classes[:, None]
        twins, clashes = (among * equal).max(axis=1), (among * ~equal).max(axis=1)
        if q:
            theirs = overlaps(p.proposals[best], p.boxes)
            theirs[row[has_source], source[has_source]] = 0.0
            rivals = theirs.max(axis=1)
    conf_best, same_best = _logit(any_class[best]), _logit(same[row, best])
    placed = iou >= MATCHED
    cut = _cut_off(boxes, p.size)
    columns = [
        np.ones(r),
        _logit(same_here),
        _logit(other_here),
        _logit(same_here) * _logit(other_here) / 4,
        _logit(np.maximum(same_here, other_here)),
        _logit(near),
        iou,
        iou**2,
        iou_same,
        far,
        unusual,
        np.maximum(unusual, 0.0) ** 2,
        unusual * conf_best / 4 * placed,
        conf_best,
        same_best,
        np.maximum(conf_best - same_best, 0.0) * placed,
        differs,
        confusable,
        confusable * conf_best / 4,
        area,
        area**2,
        usual.found[classes],
        rivals,
        np.maximum(rivals - iou, 0.0),
        twins,
        twins**4,
        clashes,
        clashes**4,
        cut,
    ]
    return np.column_stack(columns).astype(np.float64)


_N_GIVEN: Final = 29
_N_OPEN: Final = 20


def _cut_off(boxes: np.ndarray, size: np.ndarray) -> np.ndarray:
    """1 where a box touches the border of its picture: there objects are seen in part."""
    if not np.isfinite(size).all():
        return np.zeros(len(boxes))
    edge = np.column_stack([boxes[:, :2], size - boxes[:, :2] - boxes[:, 2:]]).min(axis=1)
    return np.asarray(edge <= 0.01 * size.max(), np.float64)


def _open_features(p: _Picture, usual: _Usual) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of the proposals that no given box explains; of the explained ones, as they would be without their box;
    and which the first are. In a crowd nothing is missing."""
    q = len(p.proposals)
    explained = np.zeros(q, bool)
    own = np.full(q, -1)
    with_partner = np.flatnonzero(p.partner >= 0)
    own[p.partner[with_partner]] = with_partner
    explained = own >= 0
    if not q:
        return np.empty((0, _N_OPEN)), np.empty((0, _N_OPEN)), np.empty(0, np.int64)
    area_q = p.proposals[:, 2:].prod(axis=1)
    ranked = np.sort(p.scores, axis=1)
    first = ranked[:, -1]
    second = ranked[:, -2] if ranked.shape[1] > 1 else np.zeros(q)
    with_given = {"iou": np.zeros(q), "inside": np.zeros(q), "around": np.zeros(q), "same": np.zeros(q)}
    if len(p.boxes):
        iou, shared = overlaps(p.proposals, p.boxes), _shared(p.proposals, p.boxes)
        area_g = p.boxes[:, 2:].prod(axis=1)
        equal = p.scores.argmax(axis=1)[:, None] == p.classes[None, :]
        mine = np.flatnonzero(explained)
        for table in (iou, shared):
            table[mine, own[mine]] = 0.0
        with_given = {
            "iou": iou.max(axis=1),
            "inside": (shared / area_q[:, None]).max(axis=1),
            "around": (shared / area_g[None, :]).max(axis=1),
            "same": (iou * equal).max(axis=1),
        }
    stronger = first[None, :] > first[:, None]
    stronger |= (first[None, :] == first[:, None]) & (np.arange(q)[None, :] < np.arange(q)[:, None])
    iou, shared = overlaps(p.proposals, p.proposals) * stronger, _shared(p.proposals, p.proposals) * stronger
    above_iou, above_in = iou.max(axis=1), (shared / area_q[:, None]).max(axis=1)
    above_around = (shared / area_q[None, :]).max(axis=1)
    area = (np.log(area_q) - usual.area[0]) / usual.area[1]
    confident = _logit(first)
    columns = [
        np.ones(q),
        confident,
        confident**2 / 4,
        np.maximum(confident - 2, 0.0),
        _logit(second),
        np.maximum(confident - _logit(second), 0.0),
        np.log(p.members),
        area,
        area**2,
        usual.borne_out[p.scores.argmax(axis=1)],
        with_given["iou"],
        with_given["iou"] ** 2,
        with_given["inside"],
        with_given["around"],
        with_given["same"],
        above_iou,
        above_in,
        above_around,
        _cut_off(p.proposals, p.size),
        confident * with_given["iou"],
    ]
    rows = np.column_stack(columns)
    unexplained = ~explained
    if len(p.crowds):
        unexplained &= (_shared(p.proposals, p.crowds) / area_q[:, None]).max(axis=1) < 0.5
    # Of the explained ones only those at the place of their box are examples of what a missing box looks like.
    at_place = np.zeros(q, bool)
    mine = np.flatnonzero(explained)
    if len(mine):
        at_place[mine] = np.diag(overlaps(p.proposals[mine], p.boxes[own[mine]])) >= _AT
    which = np.flatnonzero(unexplained)
    return rows[which], rows[at_place], which


def _instead(p: _Picture) -> tuple[np.ndarray, np.ndarray]:
    """The class and place that the predictions would give each box of a picture."""
    classes, boxes = p.classes.copy(), p.boxes.copy()
    if not len(p.proposals):
        return classes, boxes
    overlap = overlaps(p.boxes, p.proposals)
    top, confidence = p.scores.argmax(axis=1), p.scores.max(axis=1)
    partner = p.partner
    has = partner >= 0
    boxes[has] = p.proposals[partner[has]]
    for k in range(len(classes)):
        differs = top != classes[k]
        value = confidence * overlap[k] * (overlap[k] >= MATCHED)
        others = np.where(differs, value, 0.0)
        if others.max() > 0:
            classes[k] = top[others.argmax()]
        elif value.max() > 0:
            row = p.scores[value.argmax()].copy()
            row[classes[k]] = 0.0
            if row.max() > 0:
                classes[k] = row.argmax()
        if not has[k] and value.max() > 0:
            boxes[k] = p.proposals[value.argmax()]
    return classes, boxes


def _made(p: _Picture, next_picture: _Picture, n_classes: int, usual: _Usual) -> list[tuple[Any, ...]]:
    """Errors of each kind made of the boxes of a picture: boxes, classes, the boxes they stand for, 0."""
    rng = np.random.default_rng(p.key)
    g = len(p.boxes)
    own = np.arange(g)
    # moved: the first of some draws that still overlaps, and by far not fully
    moved = p.boxes.copy()
    waiting = np.ones(g, bool)
    for _ in range(_TRIES):
        size = p.boxes[:, 2:]
        scaled = size * np.exp(rng.normal(0, 0.25, (g, 2)) * (rng.random((g, 1)) < 0.7))
        centre = p.boxes[:, :2] + size / 2 + size * rng.normal(0, 0.25, (g, 2))
        draw = np.column_stack([centre - scaled / 2, scaled])
        iou = np.diag(overlaps(p.boxes, draw))
        good = waiting & (iou > 0.2) & (iou < 0.75)
        moved[good] = draw[good]
        waiting &= ~good
    moved[waiting, :2] += 0.3 * p.boxes[waiting, 2:]
    # another class, by frequency or any
    others = np.where(rng.random(g) < 0.5, rng.integers(0, n_classes, g), rng.choice(n_classes, g, p=usual.frequency))
    others = np.where(others == p.classes, (others + 1 + rng.integers(0, max(n_classes - 1, 1), g)) % n_classes, others)
    others = np.where(others == p.classes, (others + 1) % n_classes, others)
    # boxes of another picture laid over this one, and second boxes about one object
    strange, kinds = next_picture.boxes.copy(), next_picture.classes
    if np.isfinite(p.size).all() and np.isfinite(next_picture.size).all():
        strange *= np.tile(p.size / next_picture.size, 2)
    # half of them anywhere: where every picture shows its objects at the same places, the others lie on objects
    anywhere = rng.random(len(strange)) < 0.5
    extent = p.size if np.isfinite(p.size).all() else (p.boxes[:, :2] + p.boxes[:, 2:]).max(axis=0)
    room = np.maximum(extent - strange[anywhere, 2:], 0.0)
    strange[anywhere, :2] = rng.random((int(anywhere.sum()), 2)) * room
    if len(strange):
        free = overlaps(strange, p.boxes).max(axis=1) < _AT
        strange, kinds = strange[free], kinds[free]
    doubled = rng.random(g) < 0.15
    twins = p.boxes[doubled].copy()
    twins[:, :2] += twins[:, 2:] * rng.normal(0, 0.12, (len(twins), 2))
    surplus = np.concatenate([strange, twins])
    surplus_kinds = np.concatenate([kinds, p.classes[doubled]])
    swapped = (p.boxes, others, own, 0.0) if n_classes > 1 else (p.boxes[:0], others[:0], own[:0], 0.0)
    return [(moved, p.classes, own, 0.0), swapped, (surplus, surplus_kinds, np.full(len(surplus), -1), 0.0)]


def _mixture(features: list[np.ndarray], folds: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """P(each kind of error), (m, 3), of given boxes, judged by fits that did not see their pictures; and the shares.

    `features` and `folds` are of the given boxes, and of the made errors of each kind.
    """
    mean = np.concatenate(features)[:, 1:].mean(axis=0)
    deviation = np.maximum(np.concatenate(features)[:, 1:].std(axis=0), 1e-6)
    scaled = [np.column_stack([part[:, :1], (part[:, 1:] - mean) / deviation]) for part in features]
    given, made = scaled[0], scaled[1:]
    m = len(given)
    share = np.full(3, _PRIOR)
    wrong = np.zeros((m, 3))
    for _ in range(_ROUNDS):
        right = np.clip(1 - wrong.sum(axis=1), 0.02, 1.0)
        odds = np.zeros((m, 3))
        for kind in range(3):
            if len(made[kind]):
                odds[:, kind] = _odds(given, folds[0], right, made[kind], folds[kind + 1])
        part = share * odds
        wrong = part / (1 - share.sum() + part.sum(axis=1, keepdims=True))
        share = (wrong.sum(axis=0) + _PRIOR * _PRIOR_BOXES) / (m + _PRIOR_BOXES)
        share *= min(1.0, 0.5 / share.sum())
    return wrong, share


def _odds(
    rows: np.ndarray, folds: np.ndarray, weights: np.ndarray, made: np.ndarray, made_folds: np.ndarray
) -> np.ndarray:
    """Density of `made` over that of the weighted `rows`, at each of the latter, of fits to the other folds."""
    penalty = np.ones(rows.shape[1])
    penalty[0] = 1e-3
    out = np.ones(len(rows))
    for fold in range(FOLDS):
        a, b = folds != fold, made_folds != fold
        if not a.any() or not b.any() or a.all():
            continue
        balance = weights[a].sum() / b.sum()
        X = np.concatenate([rows[a], made[b]])
        target = np.repeat([False, True], [a.sum(), b.sum()])
        w = np.concatenate([weights[a], np.full(b.sum(), balance)])
        beta = fit_logistic(X, target, w, _C, penalty)
        out[~a] = np.exp(np.clip(rows[~a] @ beta, -15.0, 15.0))
    return out


def _missing(rows: np.ndarray, folds: np.ndarray, made: np.ndarray, made_folds: np.ndarray) -> tuple[np.ndarray, float]:
    """P(a box is missing) of each proposal without one, and the share of boxes that are.

    Proposals without a box are false alarms but for a share of missing boxes, which look like those that have one.
    """
    if not len(rows):
        return np.zeros(0), 0.0
    if not len(made):
        return np.full(len(rows), 0.5), 0.0
    every = np.concatenate([rows, made])
    mean, deviation = every[:, 1:].mean(axis=0), np.maximum(every[:, 1:].std(axis=0), 1e-6)
    scaled = [np.column_stack([part[:, :1], (part[:, 1:] - mean) / deviation]) for part in (rows, made)]
    lost, posterior = _PRIOR, np.zeros(len(rows))
    for _ in range(_ROUNDS):
        odds = _odds(scaled[0], folds, np.clip(1 - posterior, 0.02, 1.0), scaled[1], made_folds)
        # of all boxes a share `lost` has no box; they are among these proposals
        share = min(lost / (1 - lost) * len(made) / len(rows), 0.9)
        posterior = share * odds / (share * odds + 1 - share)
        total = posterior.sum()
        lost = float((total + _PRIOR * _PRIOR_BOXES) / (total + len(made) + _PRIOR_BOXES))
    return posterior, lost
