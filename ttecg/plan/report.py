"""A plan as text."""

GIB = 2**30


def text(plan: dict) -> str:
    """Everything a reader needs to decide, the verdict last."""
    chip, train = plan["chip"], plan["train"]
    mesh = " x ".join(f"{name} {size}" for name, size in plan["mesh"].items())
    head = [
        f"{plan['config']['task']} on {plan['topology']}: mesh {mesh}; figures from {plan['compiler']}.",
        f"{plan['parameters']:,} parameters; batch {train['examples']}.",
        "",
        "Memory per device, GiB",
        *_memory(plan, chip),
        "",
        "Training step, per device",
        *_step(train, chip),
        *_formula(plan),
    ]
    if plan["hours_per_epoch"] is not None:
        head += [
            f"  at best {train['examples_per_s']:,.0f} examples/s: {_hours(plan['hours_per_epoch'])} per epoch of "
            f"{plan['records']:,} records"
        ]
    if "sample" in plan:
        head += ["", f"Sampling step, {plan['sample']['examples'] // plan['devices']} ECGs per device"]
        head += [*_step(plan["sample"], chip), *_sampled(plan["sample"], chip)]
    return "\n".join([*head, "", *verdict(plan)])


def verdict(plan: dict) -> list[str]:
    """Whether it fits, why not, and what would."""
    train, usable = plan["train"], plan["chip"]["usable"]
    if plan["fits"]:
        return [f"FITS: {_gib(train['peak_memory'])} of {_gib(usable)} GiB per device."]
    lines = [f"DOES NOT FIT: {_why(train, usable)}."]
    held = sum(plan["state"].values())
    lines += [f"The state alone takes {_gib(held)} GiB per device."] if held > usable / 2 else []
    lines += [
        "What would change it (estimates, GiB per device):"
        if plan["changes"]
        else "Nothing is left to change."
    ]
    for change in plan["changes"]:
        words = " ".join(f"--set {c}" for c in change["changes"])
        lines += [f"  {_gib(change['memory']):>8}  {'fits' if change['fits'] else 'no  '}  {words}"]
    if plan["changes"] and not any(change["fits"] for change in plan["changes"]):
        lines += ["No change tried here is enough: more devices, chips with more memory, or a smaller model."]
    return lines


def _why(train: dict, usable: float) -> str:
    if train["refusal"]:
        return f"the compiler says: {train['refusal'].rstrip('.')}"
    return f"{_gib(train['peak_memory'])} GiB needed, {_gib(usable)} GiB usable per device"


def _memory(plan: dict, chip: dict) -> list[str]:
    train = plan["train"]
    rows = [*plan["state"].items()]
    if train["temporary"] is not None:
        inputs = max(train["arguments"] - sum(plan["state"].values()), 0)
        rows += [("batch", inputs), ("activations", train["temporary"]), ("program", train["code"])]
    if train["peak_memory"] is not None:
        rows += [("asked for" if train["refusal"] else "peak", train["peak_memory"])]
    rows += [("usable", chip["usable"]), ("built in", chip["memory"])]
    return [f"  {name:12} {_gib(size):>9}" for name, size in rows]


def _step(cost: dict, chip: dict) -> list[str]:
    lines = [f"  {_flops(cost['flops'])} in matrix products, loops run through"]
    if cost["xla_flops"] is not None:
        lines[0] += f" (XLA: {cost['xla_flops'] / 1e12:.4g} T with elementwise work, each loop once)"
    if cost["bytes_moved"] is None:
        return [*lines, "  not compiled, so bytes, collectives and times are unknown"]
    lines += [
        f"  {cost['bytes_moved'] / 1e9:.4g} GB to and from memory, loops run through "
        f"(XLA: {cost['xla_bytes'] / 1e9:.4g} GB, each loop once, on-chip memory too)"
    ]
    lines += [
        f"  {c['kind']:18} {c['count']:6.0f} times, arrays of {c['size'] / 1e9:.4g} GB, {c['wire'] / 1e9:.4g} GB sent"
        for c in cost["collectives"]
    ] or ["  no collectives"]
    line = cost["roofline"]
    lines += [
        f"  at least {_ms(line['seconds'])}, bound by {line['bound']}: compute {_ms(line['compute'])}, memory "
        f"{_ms(line['memory'])}, links {_ms(line['links'])}",
        f"  at most {line['share']:.0%} of the peak on the model's own FLOPs",
    ]
    if cost["loops_bounded"]:
        lines += ["  a loop that may end early is counted at its longest"]
    return [*lines, f"  compiled in {cost['seconds_to_compile']:.0f} s"]


def _formula(plan: dict) -> list[str]:
    """The count by formula beside the count of the traced program, both over all devices."""
    counted = sum(plan["train"]["useful_flops"].values()) * plan["devices"]
    line = f"  model FLOPs over all devices, recomputation left out: {counted / 1e12:.5g} T counted"
    if plan["formula_flops"] is None:
        return [line]
    by_hand = plan["formula_flops"]
    return [
        f"{line}, {by_hand / 1e12:.5g} T by formula, 6 x weights x tokens + attention ({counted / by_hand - 1:+.1%})"
    ]


def _sampled(sample: dict, chip: dict) -> list[str]:
    if sample["peak_memory"] is None:
        return [f"  does not fit: {sample['refusal']}"]
    word = "fits" if sample["fits"] else "does not fit"
    speed = f"; at best {sample['examples_per_s']:,.1f} ECGs/s" if sample["examples_per_s"] else ""
    return [f"  {word}: {_gib(sample['peak_memory'])} of {_gib(chip['usable'])} GiB{speed}"]


def _gib(size: float) -> str:
    return f"{size / GIB:.3f}" if size < 100 * GIB else f"{size / GIB:,.0f}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.4g} ms" if seconds < 10 else f"{seconds:.4g} s"


def _hours(hours: float) -> str:
    return f"{hours:.3g} hours" if hours >= 0.1 else f"{hours * 60:.3g} minutes"


def _flops(flops: dict) -> str:
    return " + ".join(f"{n / 1e12:.4g} T {kind}" for kind, n in flops.items()) + " FLOPs"
