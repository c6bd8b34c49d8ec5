"""Text to ECG: `ttecg.load("demo").generate("atrial fibrillation", num=4, seed=0) -> list[ECG]`."""

import collections
import dataclasses
import itertools
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import jax
import numpy as np

from ttecg import bundle
from ttecg.data.prompt import Prompt, PromptEncoder
from ttecg.data.reports import canonical
from ttecg.ecg import ECG, LEADS, to_eight, to_twelve
from ttecg.models import beat_plan
from ttecg.models.sampling import SamplingPolicy, compiled

RATE = 500.0  # of the ECGs that come out
CHUNKS = (
    1,
    8,
    64,
)  # batch sizes that are compiled; the last ECGs of a call come from a batch that is not kept whole

_READ_AHEAD = 256


class TextToECG:
    """A text-to-ECG bundle, ready to use."""

    def __init__(self, path):
        path = pathlib.Path(path)
        self.config, self._functional, self._params, self._buffers, stored = bundle.load_generator(path)
        self.tokenizer = bundle.load_tokenizer(path)
        self.encoder = PromptEncoder.load(
            path / bundle.TEXT, conditions=tuple(stored["conditions"]), length=self.config.prompt
        )
        if self.encoder.vocab > self.config.vocab:
            raise ValueError(
                f"{path / bundle.TEXT} has ids up to {self.encoder.vocab}, the generator {self.config.vocab}; "
                f"they are not of one bundle"
            )
        self.name = stored["name"]
        self.policy = bundle.from_dict(SamplingPolicy, stored["sampling"], str(path / bundle.CONFIG))
        self.hash = bundle.digest(self._params | self._buffers, [stored, self.tokenizer.hash])

    def generate(
        self,
        report: str,
        *,
        num: int = 1,
        seed: int = 0,
        age: float | None = None,
        sex: str | None = None,
        heart_rate: float | None = None,
        rr: Sequence[float] | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        guidance: float | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[ECG]:
        """`num` 12-lead ECGs of 10 s at 500 Hz, mV, for a clinical report in English or German.

        age in years, sex "male" or "female", heart_rate per minute: each optional. rr: RR intervals in seconds that
        the beats must keep, from the first R peak on. None of the sampling settings means the bundle's own.
        Sample i depends on (seed, i) alone. progress is called with the number of ECGs done.
        """
        if not any(map(str.isalnum, report or "")):
            raise ValueError("the report has no words; describe the ECG in a few words, e.g. 'sinus rhythm'")
        if num < 1:
            raise ValueError(f"num must be at least 1, got {num}")
        if not 0 <= seed < 2**32:
            raise ValueError(f"seed must be between 0 and {2**32 - 1}, got {seed}")
        prompt = Prompt(report, age, sex, heart_rate)
        changes = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "guidance": guidance}
        policy = dataclasses.replace(self.policy, **{k: v for k, v in changes.items() if v is not None})
        if rr is not None and not self._plans:
            raise ValueError(f"model {self.name!r} has no beat plan, so RR intervals cannot be given")
        plan = None if rr is None else _plan(rr, self.tokenizer.config.samples / self.tokenizer.config.rate)
        ecgs: list[ECG] = []
        while len(ecgs) < num:
            size = _chunk(num, num - len(ecgs))
            asked = [(prompt, (seed, len(ecgs) + i)) for i in range(size)]
            ecgs += self._make(asked, policy, plan)[: num - len(ecgs)]
            if progress:
                progress(len(ecgs))
        return ecgs

    def generate_many(
        self, asked: Iterable[tuple[Prompt, tuple[int, int]]], policy: SamplingPolicy | None = None
    ) -> Iterator[ECG]:
        """An ECG for every (prompt, (seed, index)), in order, made in batches as they are taken; an ECG depends on its
        prompt, seed and index alone. The prompts may be without end."""
        asked, policy = iter(asked), policy or self.policy
        while part := list(itertools.islice(asked, _READ_AHEAD)):
            groups = collections.defaultdict(list)  # prompts of one padded length are made together
            for number, (prompt, _) in enumerate(part):
                groups[self.encoder.padded([prompt]).shape[1]].append(number)
            made: dict[int, ECG] = {}
            for numbers in groups.values():
                while numbers:
                    size = _chunk(len(part), len(numbers))
                    some, numbers = numbers[:size], numbers[size:]
                    rows = [part[n] for n in some]
                    made |= dict(zip(some, self._make(rows + rows[:1] * (size - len(rows)), policy)))
            yield from (made[n] for n in range(len(part)))

    def _make(self, asked, policy: SamplingPolicy, plan=None) -> list[ECG]:
        """The ECGs of one batch; a plan holds for all of them."""
        prompts, seeds = zip(*asked)
        plans, codes = self.sample(
            prompts, seeds, policy, None if plan is None else np.tile(plan, (len(asked), 1))
        )
        signals = self.tokenizer.decode(codes)
        return [self._ecg(x, p, prompt, *seed) for x, p, (prompt, seed) in zip(signals, plans, asked)]

    @property
    def weights(self) -> tuple:
        """(Functional, params, buffers) of the generator."""
        return self._functional, self._params, self._buffers

    @property
    def _plans(self) -> bool:
        return "plan_table" in self._functional.param_names

    def sample(
        self, prompts: Sequence[Prompt], seeds: Sequence[tuple[int, int]], policy: SamplingPolicy, plans=None
    ):
        """Beat plans (B, R) and codes (B, N, Q), one per prompt; each row's randomness comes from its (seed, index)."""
        keys = jax.vmap(lambda s, i: jax.random.fold_in(jax.random.key(s), i))(*np.array(seeds, np.uint32).T)
        ids = self.encoder.padded(prompts)
        nothing = self.encoder.padded([Prompt("")], ids.shape[1])
        run = compiled(self._functional, policy, plans is not None)
        return jax.device_get(
            run(self._params, self._buffers, ids, np.tile(nothing, (len(ids), 1)), keys, plans)
        )

    def _ecg(self, signal: np.ndarray, plan: np.ndarray, prompt: Prompt, seed: int, index: int) -> ECG:
        config = self.tokenizer.config
        eight = signal if config.leads == 8 else to_eight(signal)
        ecg = ECG(eight.astype(np.float64), ("I", "II", *LEADS[6:]), config.rate).resample(RATE)
        return ECG(
            to_twelve(ecg.signal),
            LEADS,
            RATE,
            age=prompt.age,
            sex=prompt.sex,
            report=prompt.report,
            id=f"{self.name}-{seed}-{index}",
            info={
                "synthetic": True,
                "prompt": canonical(prompt.report),
                "heart_rate": prompt.heart_rate,
                "seed": seed,
                "index": index,
                "model": self.name,
                "model_hash": self.hash,
                "planned_peaks": beat_plan.decode(plan),
            },
        )


def _chunk(num: int, remaining: int) -> int:
    """The batch size for the next of `num` ECGs; a call for one compiles for one."""
    return CHUNKS[0] if num == 1 else max(c for c in CHUNKS[1:] if c <= max(remaining, CHUNKS[1]))


def _plan(rr: Sequence[float], duration: float) -> np.ndarray:
    """RR intervals in seconds as a beat plan: the first peak after half the first interval, repeated to the end."""
    rr = np.asarray(rr, float)
    if not len(rr) or not np.all((rr >= 0.2) & (rr <= 2.99)):
        raise ValueError("RR intervals must be between 0.2 and 2.99 seconds, at least one of them")
    repeated = np.tile(rr, int(np.ceil(duration / rr.sum())) + 1)
    peaks = rr[0] / 2 + np.concatenate([[0], np.cumsum(repeated)])
    peaks = peaks[peaks < duration]
    if len(peaks) >= beat_plan.SLOTS:
        raise ValueError(f"RR intervals give {len(peaks)} beats; at most {beat_plan.SLOTS - 1} fit one ECG")
    return beat_plan.encode(peaks)


def load(name="demo") -> TextToECG:
    """A bundle by the name of one that ships, or by its directory."""
    return TextToECG(bundle.resolve(name))
