"""Which ECGs are strangers to the training records: all measures of nearness side by side, and the rule of the verdict.

A group of generated ECGs fails where, by any measure of distance,
- more than one, and more than 0.5 %, lie at under half the least distance of real ECGs: of held-out ones, and of all
  but 1 % of training records to those of other patients;
- so many are nearer than every held-out ECG that chance would do it less than once in 1000 times;
- over 5 % are nearer than the nearest 1 % of held-out ECGs, by the whole 95 % interval over patients, and chance would
  do it less than once in 1000 times;
- more have a training record for their nearest than in each of 999 deals of the patients to the two sides;
- the membership area is above .55, by the whole interval;
or where their longest run of codes is over 1.5 times that of held-out ECGs; or where the encoder takes over five points
more of them than of held-out ECGs for a training patient, by the whole interval of the difference.
Where the planted copies are not caught by these, the verdict is FAIL as well: then nothing can be said.
"""

import dataclasses

import numpy as np

from ttecg.evaluate import privacy_measures as measures
from ttecg.evaluate.auroc import interval, patient_draws

RATE = 100.0  # of the signals that are compared
FLOOR, PLANTED, ALL = "held-out", "planted copies", "all generated"
OTHERS = "training, other patients"
_LISTED, _OTHERS = 10, 500


@dataclasses.dataclass(frozen=True)
class Group:
    """N ECGs as they are compared. signal (N, T, 2): II and V2 at `RATE`; codes (N, C): first level. features (N, D)
    and those of each half: None without an encoder. patients: whom a bootstrap keeps together. prompts: what asks for
    an ECG like it, None without a report. broken: has samples that are no numbers, and is seen as flat."""

    signal: np.ndarray
    codes: np.ndarray
    features: np.ndarray | None
    first: np.ndarray | None
    second: np.ndarray | None
    ids: np.ndarray
    patients: np.ndarray
    prompts: np.ndarray
    broken: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, which) -> "Group":
        return Group(**{k: None if v is None else v[which] for k, v in _fields(self)})


def joined(groups: list[Group]) -> Group:
    """One after another."""
    return Group(**{
        k: None if v is None else np.concatenate([getattr(g, k) for g in groups]) for k, v in _fields(groups[0])
    })  # fmt: skip


def _fields(group: Group):
    return [(f.name, getattr(group, f.name)) for f in dataclasses.fields(Group)]


def judge(
    known: Group, people: Group, made: dict[str, Group], copies: Group, lent=None, seed: int = 0
) -> dict:
    """All measures of held-out, generated and copied ECGs against the training records, and what is suspicious.

    lent: (which training, which held-out records) lent their reports; the questions that take training and held-out
    records for equals look at those alone, for an ECG is like the one whose report it was made of. All where None."""
    groups = {FLOOR: people, **made, PLANTED: copies}
    everyone = np.arange(len(known)), np.arange(len(people))
    equals = tuple(map(np.unique, lent)) if lent else everyone
    sides = [g.patients[i] for g, i in zip((known, people), equals)]
    some = known.take(np.random.default_rng(seed).permutation(len(known))[:_OTHERS])
    near, nearest, members, suspects = {}, [], [], []
    for name, of in _distances(known).items():
        near[name], to = {}, {}
        others = of(some, known)
        others[some.patients[:, None] == known.patients] = np.inf
        near[name][OTHERS] = others.min(1)
        if name == "encoder":
            alone = near["one patient stands out"] = {OTHERS: measures.patient_ratio(others, known.patients)}
        for group, x in groups.items():
            to_train, to_held = of(x, known), of(x, people)
            near[name][group] = to_train.min(1)
            if group == FLOOR:
                to_held[x.patients[:, None] == people.patients] = np.inf
            if group in made:
                suspects += _suspects(name, group, x, known, to_train, near[name][FLOOR])
            if name == "encoder":
                alone[group] = measures.patient_ratio(to_train, known.patients)
            to[group] = to_train[:, equals[0]], to_held[:, equals[1]]
        to[ALL] = tuple(np.concatenate([to[g][side] for g in made]) for side in (0, 1))
        for group in (FLOOR, ALL, PLANTED):
            row = measures.nearest_side(*to[group], *sides, seed=seed)
            nearest.append({"measure": name, "ecgs": group} | row)
        area, span = measures.membership(*(d.min(0) for d in to[ALL]), *sides, seed=seed)
        count = {"training": len(equals[0]), "held-out": len(equals[1])}
        members.append({"measure": name, "ecgs": ALL} | count | {"area": area, "95 %": span})
    found = {
        "rows": _rows(near, {OTHERS: some, **groups}, seed),
        "nearest": nearest,
        "membership": members,
        "runs": [_run_row(g, x, known) for g, x in groups.items()],
        "people": _people({"training": known, FLOOR: people}),
        "taken": _taken(known, groups, seed),
        "suspects": suspects,
        "near": near,
    }
    return found | {"reasons": {g: reasons(found, g) for g in (*made, ALL, PLANTED)}}


def _distances(known: Group) -> dict:
    """{measure: function of two groups to (Q, N) distances}."""
    of = {
        "as they lie": lambda x, y: measures.unshifted(x.signal, y.signal),
        "best shift": lambda x, y: measures.aligned(x.signal, y.signal, RATE),
    }
    if known.features is not None:
        of["encoder"] = lambda x, y: measures.distances(x.features, y.features)
    return of


def _rows(near: dict, groups: dict[str, Group], seed: int) -> list[dict]:
    """How near each group comes to its nearest training records."""
    rows = []
    for name, of_groups in near.items():
        for group, values in of_groups.items():
            held, patients = of_groups[FLOOR], groups[FLOOR].patients
            share, span = measures.share_under(values, held, groups[group].patients, patients, seed=seed)
            row = {"measure": name, "ecgs": group, "n": len(values)}
            row |= measures.compare(held, values, of_groups[OTHERS])
            rows.append(row | {"under p1 of held-out": share, "95 %": span})
    return rows


def _suspects(name: str, group: str, x: Group, known: Group, distance, floor) -> list[dict]:
    """The nearest ECGs that are nearer than every held-out one, and to whom."""
    least = distance.min(1)
    return [
        {"measure": name, "ecgs": group, "ecg": str(x.ids[i]), "training record": str(known.ids[distance[i].argmin()]),
         "distance": float(least[i]), "least of held-out": float(floor.min())}
        for i in np.argsort(least, kind="stable")[:_LISTED] if least[i] < floor.min()
    ]  # fmt: skip


def _run_row(group: str, x: Group, known: Group) -> dict:
    runs = measures.longest_runs(x.codes, known.codes)
    median, p99 = map(float, np.percentile(runs, [50, 99]))
    spread = {"median": median, "p99": p99, "max": int(runs.max())}
    return {"ecgs": group, "n": len(x), **spread, "of codes": known.codes.shape[1]}


def _people(groups: dict[str, Group]) -> list[dict]:
    """Real ECGs alone: how well the encoder knows people, which says how much its other figures can tell."""
    rows = []
    for name, x in groups.items():
        if x.features is not None:
            found = measures.recognised(x.first, x.second, x.patients)
            n, again = measures.recognised_again(x.features, x.patients)
            rows.append({
                "recordings": name, "n": len(x), "second half found": found, "chance": 1 / len(x),
                "n of patients with several": n, "another found": again,
            })  # fmt: skip
    return rows


def _taken(known: Group, groups: dict[str, Group], seed: int) -> list[dict]:
    """Share of ECGs whose first half is as near to the second half of a training record as, in half of the held-out
    recordings, the two halves are to each other."""
    people = groups[FLOOR]
    if people.first is None:
        return []
    limit = np.median(np.sqrt(((people.first - people.second) ** 2).sum(1)))
    rows, drawn = [], {}
    for number, (group, x) in enumerate(groups.items()):
        taken = measures.distances(x.first, known.second).min(1) <= limit
        weight = patient_draws(x.patients, 1000, seed + number)
        drawn[group] = (weight * taken).sum(1) / weight.sum(1)
        span = None if group == FLOOR else interval(drawn[group] - drawn[FLOOR])
        rows.append({"ecgs": group, "n": len(x), "taken": float(taken.mean()), "95 %": interval(drawn[group]),
                     "over held-out 95 %": span})  # fmt: skip
    return rows


def reasons(found: dict, group: str) -> list[str]:
    """Why a group is not one of strangers, by the rule at the head of this module."""
    mine = {
        name: [r for r in found[name] if r["ecgs"] == group]
        for name in ("rows", "nearest", "membership", "runs", "taken")
    }
    floor = next(r for r in found["runs"] if r["ecgs"] == FLOOR)
    why = []
    for r in mine["rows"]:
        if what := measures.suspicious(r, r["n"], floor["n"]):
            why.append(f"{r['measure']}: {what}")
    for r in mine["nearest"]:
        if r["p"] <= 0.001:
            why.append(
                f"{r['measure']}: the nearest record is a training one for {r['training']:.0%}, by chance "
                f"{r['by chance']:.0%}"
            )
    for r in mine["membership"]:
        if r["95 %"][0] > 0.55:
            why.append(f"{r['measure']}: membership area {r['area']:.2f}, at least {r['95 %'][0]:.2f}")
    for r in mine["runs"]:
        if r["max"] > 1.5 * floor["max"]:
            why.append(f"a run of {r['max']} codes of a training record, held-out {floor['max']} at most")
    for r in mine["taken"]:
        if r["over held-out 95 %"][0] > 0.05:
            why.append(f"{r['taken']:.0%} taken for a training patient")
    return why


def verdict(found: dict) -> str:
    """One line: PASS, or FAIL and what failed."""
    why = [f"{g}: {w}" for g, some in found["reasons"].items() if g != PLANTED for w in some]
    if not found["reasons"][PLANTED]:
        why.append("the copies planted beside the generated ECGs were not caught, so nothing can be said")
        return "verdict: FAIL: " + "; ".join(why)
    return f"verdict: {'FAIL: ' + '; '.join(why) if why else 'PASS'} (the copies planted beside them were caught)"
