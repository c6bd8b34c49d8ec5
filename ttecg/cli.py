"""The command line: finds the verb, parses its arguments, runs it, and turns errors into one line.

    ttecg generate "atrial fibrillation" --num 4 --out out/af

Exit status: 0 done, 2 wrong input (one line on stderr; TTECG_TRACEBACK=1 shows where it arose), 130 Ctrl-C.
"""

import contextlib
import difflib
import importlib
import inspect
import io
import os
import re
import signal
import sys

# verb: (module in ttecg.commands, class, what it does)
VERBS = {
    "generate": ("generate", "Generate", "make ECGs from clinical report text"),
    "reconstruct": ("reconstruct", "Reconstruct", "make twelve leads from any few"),
    "two-lead": ("two_lead", "TwoLead", "make twelve leads from leads I and II of different times"),
    "augment": ("augment", "Augment", "make synthetic ECGs of scarce classes, as a set to train on"),
    "plot": ("plot", "Plot", "draw a recording on ECG paper"),
    "data simulate": ("data", "Simulate", "make simulated ECGs as a folder of WFDB records"),
    "data prepare": (
        "data",
        "Prepare",
        "make a set for training of PTB-XL, LUDB, any folder, or the simulator",
    ),
    "data restore-voltages": ("data", "RestoreVoltages", "put plausible mV back into z-scored recordings"),
    "data inspect": ("inspect", "Inspect", "say what a recording, a folder or a prepared set holds"),
    "data reports": ("data", "Reports", "say how much of a table's reports is understood"),
    "train text-tokenizer": ("train", "TextTokenizer", "learn the pieces of report text"),
    "train tokenizer": ("train", "Tokenizer", "train the VQ tokenizer of ECGs"),
    "train beat-basis": ("train", "BeatBasis", "learn what usual beats are made of"),
    "train recorder": ("train", "Recorder", "learn what recorders add to the heart's signal"),
    "train generator": ("train", "Generator", "train the transformer from report to ECG codes"),
    "train decoder": ("train", "Decoder", "train the HiFi-GAN from ECG codes to a waveform"),
    "train unet": ("train", "UNet", "train the network that rebuilds hidden leads"),
    "train two-lead": (
        "train",
        "TwoLead",
        "train the model from leads I and II of different times to twelve",
    ),
    "train classifier": ("train", "Classifier", "train the network that says what an ECG shows"),
    "train clip": ("train", "Clip", "train the pair of networks that says how well an ECG fits a report"),
    "train wav2vec": ("train", "Wav2Vec", "train the encoder of ECGs that needs no labels"),
    "train noise-detector": ("train", "NoiseDetector", "train the detectors of noisy recordings"),
    "export": ("model", "Export", "make a bundle of a trained model"),
    "evaluate tokenizer": ("model", "EvaluateTokenizer", "score how a tokenizer rebuilds recordings"),
    "evaluate decoder": ("decoder", "EvaluateDecoder", "lay a HiFi-GAN beside the tokenizer's own decoder"),
    "evaluate adherence": ("model", "EvaluateAdherence", "score whether ECGs show what was asked for"),
    "evaluate generation": (
        "generation",
        "EvaluateGeneration",
        "lay generated ECGs beside recorded ones: every measure, its floor and control",
    ),
    "evaluate encoder": (
        "generation",
        "EvaluateEncoder",
        "score the networks that generated ECGs are judged by",
    ),
    "evaluate quality": ("generation", "EvaluateQuality", "score the noise detectors at known noise"),
    "evaluate privacy": ("model", "EvaluatePrivacy", "say whether ECGs are copies of training records"),
    "evaluate reader-study": (
        "reader_study",
        "EvaluateReaderStudy",
        "make a sheet of recorded and generated ECGs for cardiologists, and score their answers",
    ),
    "evaluate reconstruction": (
        "leads",
        "EvaluateReconstruction",
        "score rebuilt leads beside ridge regression",
    ),
    "evaluate two-lead": (
        "two_lead",
        "EvaluateTwoLead",
        "score twelve leads made from two of different times",
    ),
    "evaluate classification": (
        "classification",
        "EvaluateClassification",
        "say whether made leads help a classifier",
    ),
    "evaluate utility": ("utility", "EvaluateUtility", "say whether synthetic ECGs are of use to train on"),
    "evaluate classifier-scale": (
        "utility",
        "EvaluateClassifierScale",
        "compare depths, widths and kernels of the classifier",
    ),
    "ablate leads": (
        "leads",
        "AblateLeads",
        "say what each lead tells: input sets, Shapley values, best sets",
    ),
    "plan": ("plan", "Plan", "say whether a run fits on other machines, and how fast it can be there"),
    "bench train": ("bench", "BenchTrain", "time the training step of a config on this machine"),
    "bench generate": ("model", "BenchGenerate", "time generation on this machine"),
    "bench data": ("bench", "BenchData", "time the reading of a prepared set on this machine"),
}
_HELP = ("-h", "--help")


class _Terminated(BaseException):
    """SIGTERM, raised so that half-written results are cleared away."""


def main(argv=None) -> int:
    """Runs a command line (default: that of this process) and returns the exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        with _terminable():
            command = parse(argv)
            if command is not None:
                command.run()
            if sys.stdout:  # None where it was closed
                sys.stdout.flush()
        return 0
    except KeyboardInterrupt:
        print("ttecg: interrupted", file=sys.stderr)
        return 130
    except _Terminated:
        print("ttecg: terminated", file=sys.stderr)
        return 143
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ValueError, OSError, FloatingPointError) as error:
        if os.environ.get("TTECG_TRACEBACK") == "1":
            raise
        print(f"ttecg: error: {_one_line(error)}", file=sys.stderr)
        return 2


def parse(argv: list[str]):
    """The command that the words ask for, with a `run()`; None where help was asked for and has been printed.

    ValueError says in one line what is wrong with the words."""
    if argv[:1] == ["--version"]:
        import ttecg

        print(f"ttecg {ttecg.__version__}")
        return None
    words = 2 if " ".join(argv[:2]) in VERBS else 1
    verb, rest = " ".join(argv[:words]), argv[words:]
    if verb not in VERBS:
        return _no_verb(argv)
    return _arguments(command_class(verb), f"ttecg {verb}", rest)


def command_class(verb: str) -> type:
    """The class in ttecg.commands that does what the verb says."""
    module, name, _ = VERBS[verb]
    return getattr(importlib.import_module(f"ttecg.commands.{module}"), name)


def _no_verb(argv: list[str]) -> None:
    """Help on all verbs or a group of them, where that is asked for; else ValueError."""
    groups = {verb.split()[0] for verb in VERBS if " " in verb}
    group = argv[0] if argv and argv[0] in groups else ""
    rest = argv[1:] if group else argv
    if not rest or rest[0] in _HELP:
        if not rest and group:
            raise ValueError(
                f"ttecg {group} needs one of {', '.join(_within(group))} (help: ttecg {group} --help)"
            )
        print(_overview(group))
        return None
    known = _within(group) if group else [*dict.fromkeys(verb.split()[0] for verb in VERBS)]
    close = difflib.get_close_matches(rest[0], known, 1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
    raise ValueError(f"no verb {rest[0]!r}: {hint} (help: {' '.join(filter(None, ('ttecg', group)))} --help)")


def _within(group: str) -> list[str]:
    return [verb.split()[1] for verb in VERBS if verb.startswith(f"{group} ")]


def _overview(group: str) -> str:
    verbs = {verb: line[2] for verb, line in VERBS.items() if not group or verb.startswith(f"{group} ")}
    width = max(map(len, verbs))
    return "\n".join(
        (
            "Clinical reports to 12-lead ECGs." if not group else f"ttecg {group}:",
            "",
            *(f"  ttecg {verb:{width}}  {what}" for verb, what in verbs.items()),
            "",
            "Every verb explains itself with --help; ttecg --version tells the version. For example:",
            "",
            f"  {command_class(next(iter(verbs))).examples[0]}",
        )
    )


def _arguments(command, prog: str, argv: list[str]):
    """`command` with its fields from argv; tyro's boxes of errors become one line."""
    import tyro

    said, config = io.StringIO(), (tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone)
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(command, prog=prog, description=_describe(command), args=argv, config=config)
    except SystemExit as stop:
        if not stop.code:
            return None
    raise ValueError(f"{_essence(said.getvalue())} (help: {prog} --help)")


def _describe(command: type) -> str:
    return "\n".join(
        (inspect.cleandoc(command.__doc__), "\nFor example", *(f"    {line}" for line in command.examples))
    )


def _essence(box: str) -> str:
    """What a box of tyro's (drawn with lines, or plain ASCII) says: its first part, and what it suggests."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", box).translate(dict.fromkeys(map(ord, "│╭╮╰╯"), " "))
    title, _, body = plain.strip("\n").partition("\n")
    parts = [part for part in re.split(r"(?m)^[ ─-]*[─-]{3}[ ─-]*$", body) if part.strip()]
    if not parts:
        return _words(plain)
    if title.strip(" ─-") == "Required options":
        return "missing: " + ", ".join(re.findall(r"(?m)^ {6}(\S+)", parts[0]))
    said = _words(parts[0].partition("Got errors:")[0])
    if re.match("Unrecognized options: [^-]", said):
        said += "; text with blanks in it goes in quotes"
    meant = re.search(r"Perhaps you meant:\s+([^\s,]+)", body)
    return said + (f"; did you mean {meant[1]}?" if meant else "")


def _words(text: str) -> str:
    return " ".join(text.split())


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines) or type(error).__name__


@contextlib.contextmanager
def _terminable():
    """SIGTERM unwinds the stack as Ctrl-C does, so that nothing stays half-written."""

    def stop(*_):
        raise _Terminated

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # only a process's main thread may set this
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
