"""Text to ECG: `ttecg.load("demo").generate("atrial fibrillation", num=4, seed=0) -> list[ECG]`."""

import copy
import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import jax
import numpy as np

from ttecg import bundle
from ttecg.data.definitions import allowed_bins
from ttecg.data.numbers import NUMBERS, SHAPE, widened
from ttecg.data.prompt import Prompt, PromptEncoder
from ttecg.data.reports import understood
from ttecg.data.stated import stated_numbers
from ttecg.ecg import ECG, INDEPENDENT, LEADS, to_eight, to_twelve
from ttecg.models import beat_plan
from ttecg.models.drafted import DraftedConfig
from ttecg.models.drafted_sampling import with_tokenizer
from ttecg.models.paper_generator import PaperGeneratorConfig
from ttecg.models.sampling import SamplingPolicy, compiled
from ttecg.spread import rounds, spread, whole_copies

RATE = 500.0  # of the ECGs that come out
BATCH = 64  # ECGs that a device makes at a time, unless asked otherwise
_READ_AHEAD = 1024
_FASTEST = 205.0  # per minute; asked for 210, the drafting generator that ships writes 75 to 92


class TextToECG:
    """A text-to-ECG bundle, ready to use."""

    def __init__(self, path):
        path = pathlib.Path(path)
        self.config, functional, params, buffers, stored = bundle.load_generator(path)
        self.tokenizer = bundle.load_tokenizer(path)
        self.recorder = bundle.load_recorder(path)
        self._functional, self._params, self._buffers = functional, params, buffers
        self._drafts = isinstance(self.config, DraftedConfig)
        if self._drafts:
            self._functional, self._params, self._buffers = with_tokenizer(
                self.config, params, buffers, self.tokenizer
            )
        self.encoder = PromptEncoder.load(
            path / bundle.TEXT, conditions=tuple(stored["conditions"]), length=self.config.prompt
        )
        if self.encoder.vocab > self.config.vocab:
            raise ValueError(
                f"{path / bundle.TEXT} has ids up to {self.encoder.vocab}, the generator {self.config.vocab}; "
                f"they are not of one bundle"
            )
        self._copies: dict[int, tuple[dict, dict]] = {}
        self.name, self._path = stored["name"], path
        self.decoder = self.tokenizer  # what makes the waveform of codes
        self.policy = bundle.sampling_policy(stored["sampling"], str(path / bundle.CONFIG))
        self.hash = bundle.digest(params | buffers, [stored, self.tokenizer.hash])

    def with_decoder(self, kind: str) -> "TextToECG":
        """The same model, whose codes are turned into a waveform by the tokenizer ("vq") or by the bundle's HiFi-GAN
        ("hifigan"); ValueError where it has none."""
        if kind == "vq":
            return self
        from ttecg import decoder

        made = copy.copy(self)
        made.decoder = decoder.load(self._path)
        made.hash = bundle.digest({}, [self.hash, made.decoder.hash])
        return made

    def generate(
        self,
        report: str,
        *,
        num: int = 1,
        seed: int = 0,
        age: float | None = None,
        sex: str | None = None,
        heart_rate: float | None = None,
        pr_ms: float | None = None,
        qrs_ms: float | None = None,
        qt_ms: float | None = None,
        axis_deg: float | None = None,
        rr: Sequence[float] | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        guidance: float | None = None,
        noise: float | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[ECG]:
        """`num` 12-lead ECGs of 10 s at 500 Hz, mV, for a clinical report in English or German.

        age in years, sex "male" or "female", heart_rate per minute: each optional. So are PR and QT intervals, QRS
        width and axis of the usual beat, which only drafting generators can be asked for (ValueError from others).
        Numbers that the report states hold where they are not given here. rr: RR intervals in seconds that the beats
        must keep, from the first R peak on. None of the sampling settings means the bundle's own.
        noise: how much of what a recorder adds to the heart's signal is drawn around it; 0 leaves 0.5-40 Hz alone.
        Sample i depends on (seed, i) alone. progress is called with the number of ECGs done.
        """
        if not any(map(str.isalnum, report or "")):
            raise ValueError("the report has no words; describe the ECG in a few words, e.g. 'sinus rhythm'")
        if num < 1:
            raise ValueError(f"num must be at least 1, got {num}")
        if not 0 <= seed < 2**32:
            raise ValueError(f"seed must be between 0 and {2**32 - 1}, got {seed}")
        prompt = Prompt(
            report, age, sex, heart_rate, pr_ms=pr_ms, qrs_ms=qrs_ms, qt_ms=qt_ms, axis_deg=axis_deg
        )
        self.check_numbers(widened({}, prompt.numbers))
        if rr is not None and heart_rate is not None:
            raise ValueError("RR intervals fix the beats already; leave heart_rate out")
        policy = self.sampling(
            temperature=temperature, top_k=top_k, top_p=top_p, guidance=guidance, noise=noise
        )
        ecgs: list[ECG] = []
        for ecg in self.generate_many(((prompt, (seed, i)) for i in range(num)), policy, rr=rr):
            ecgs.append(ecg)
            if progress:
                progress(len(ecgs))
        return ecgs

    def check_numbers(self, ranges: Mapping[str, tuple[float, float]]):
        """ValueError where this model cannot be asked for one of these numbers; the least and the greatest by name."""
        fastest = ranges.get("heart_rate", (0, 0))[1]
        if self._drafts and fastest > _FASTEST:
            raise ValueError(
                f"model {self.name!r} makes heart rates of up to {_FASTEST:g} per minute, got {fastest:g}"
            )
        beyond = [name for name in ranges if name in SHAPE]
        if beyond and not self._drafts:
            raise ValueError(
                f"model {self.name!r} plans no {', '.join(beyond)}: leave that out, or use a drafting generator"
            )

    def sampling(self, **changes) -> SamplingPolicy:
        """The bundle's own policy with those settings that are not None; ValueError for noise without a recorder."""
        if changes.get("noise") is not None and not self.recorder:
            raise ValueError(f"model {self.name!r} has no recorder that could make noise: leave noise out")
        return dataclasses.replace(self.policy, **{k: v for k, v in changes.items() if v is not None})

    def generate_many(
        self,
        asked: Iterable[tuple[Prompt, tuple[int, int]]],
        policy: SamplingPolicy | None = None,
        *,
        rr: Sequence[float] | None = None,
        batch: int = BATCH,
    ) -> Iterator[ECG]:
        """An ECG for every (prompt, (seed, index)), in order, made in batches as they are taken; an ECG depends on its
        prompt, seed and index alone, as far as rounding decides no draw. The prompts may be without end. Numbers that a
        report states hold where its prompt asks for none. rr holds for all.

        batch: a device makes that many at a time at most; all devices of this process take part. While a batch is
        taken, the next is being made."""
        policy, plan = policy or self.policy, self.beat_plan(rr)
        asked = ((self._with_stated(prompt, plan), drawn) for prompt, drawn in asked)
        while part := list(itertools.islice(asked, max(_READ_AHEAD, batch))):
            yield from self._make(part, policy, plan, batch)

    def _with_stated(self, prompt: Prompt, plan) -> Prompt:
        """With those numbers of its report that it leaves open and that this model makes."""
        stated = stated_numbers(prompt.report)
        if plan is not None or (self._drafts and stated.get("heart_rate", 0) > _FASTEST):
            stated.pop("heart_rate", None)
        makes = {k: v for k, v in stated.items() if self._drafts or k not in SHAPE}
        return dataclasses.replace(prompt, **(makes | prompt.numbers))

    def _make(self, part, policy: SamplingPolicy, plan, batch: int) -> Iterator[ECG]:
        """The ECGs of a list of (prompt, (seed, index)), whose prompts are padded to one length."""
        width = self.encoder.padded([_understood(prompt) for prompt, _ in part]).shape[1]
        todo = rounds(len(part), batch, jax.local_device_count())

        def launch(first, size, busy):
            devices = 1 if busy == 1 else jax.local_device_count()
            asked = part[first : first + size * busy]
            rows = asked + asked[:1] * (size * devices - len(asked))
            plans = None if plan is None else np.tile(plan, (len(rows), 1))
            return asked, devices, self._sample(*zip(*rows), policy, plans, width, devices)

        ahead = launch(*next(todo))
        while ahead:
            rows, devices, (plans, codes) = ahead
            signals = self._decode(codes, devices)
            following = next(todo, None)
            ahead = following and launch(*following)
            for (prompt, drawn), signal, found in zip(rows, signals, np.asarray(plans)):
                yield self._ecg(signal, found, prompt, *drawn, policy.noise)

    @property
    def weights(self) -> tuple:
        """(Functional, params, buffers) of the generator."""
        return self._functional, self._params, self._buffers

    def beat_plan(self, rr: Sequence[float] | None) -> np.ndarray | None:
        """RR intervals in seconds as a beat plan (R,), None for None. ValueError where they cannot be one."""
        if rr is None:
            return None
        if isinstance(self.config, PaperGeneratorConfig):
            raise ValueError(f"model {self.name!r} has no beat plan, so RR intervals cannot be given")
        return _plan(rr, self.tokenizer.config.samples / self.tokenizer.config.rate)

    def sample(
        self, prompts: Sequence[Prompt], seeds: Sequence[tuple[int, int]], policy: SamplingPolicy, plans=None
    ):
        """Beat plans (B, R) and codes (B, N, Q), one per prompt; each row's randomness comes from its (seed, index)."""
        return jax.device_get(self._sample(prompts, seeds, policy, plans))

    def _sample(self, prompts, seeds, policy, plans=None, width: int | None = None, devices: int = 1):
        """`sample` under way: arrays that are computed while the caller goes on."""
        keys = jax.vmap(lambda s, i: jax.random.fold_in(jax.random.key(s), i))(*np.array(seeds, np.uint32).T)
        ids = self.encoder.padded([_understood(p) for p in prompts], width)
        nothing = self.encoder.padded([Prompt("")], ids.shape[1])
        run = spread(
            compiled(self._functional, dataclasses.replace(policy, noise=1.0), plans is not None), devices
        )
        given = plans if plans is not None else [None] * len(ids)
        allowed = (
            np.stack([allowed_bins(p, plan) for p, plan in zip(prompts, given)]) if self._drafts else None
        )
        return run(*self._on(devices), ids, np.tile(nothing, (len(ids), 1)), keys, plans, allowed)

    def _decode(self, codes_BxNxQ, devices: int) -> np.ndarray:
        """(B, T, L) mV of codes that lie on so many devices."""
        run = spread(_decoder(self.decoder.functional), devices)
        return np.asarray(run(self.decoder.params, self.decoder.buffers, codes_BxNxQ))

    def _on(self, devices: int) -> tuple[dict, dict]:
        """Params and buffers of the generator, whole on each of the first devices."""
        if devices not in self._copies:
            self._copies[devices] = whole_copies((self._params, self._buffers), devices)
        return self._copies[devices]

    def sampling_memory(self, policy: SamplingPolicy, batch: int) -> int:
        """Bytes that one batch of the longest prompts takes on a device while it is sampled, without the weights."""
        ids = np.ones((batch, self.encoder.length), np.int32)
        keys = jax.random.split(jax.random.key(0), batch)
        run = compiled(self._functional, policy, False)
        allowed = np.stack([allowed_bins(Prompt())] * batch) if self._drafts else None
        found = (
            run.lower(self._params, self._buffers, ids, ids, keys, None, allowed).compile().memory_analysis()
        )
        return found.temp_size_in_bytes + found.output_size_in_bytes

    def _ecg(
        self, signal: np.ndarray, plan: np.ndarray, prompt: Prompt, seed: int, index: int, noise: float
    ) -> ECG:
        config = self.tokenizer.config
        eight = signal if config.leads == 8 else to_eight(signal)
        x = ECG(eight.astype(np.float64), INDEPENDENT, config.rate).resample(RATE).signal
        peaks = beat_plan.decode(plan)
        if self.recorder and noise:
            x = self.recorder.add(x, peaks * RATE, np.random.default_rng((seed, index)), noise)
        return ECG(
            to_twelve(x),
            LEADS,
            RATE,
            age=prompt.age,
            sex=prompt.sex,
            report=prompt.report,
            id=f"{self.name}-{seed}-{index}",
            info={
                "synthetic": True,
                "prompt": understood(prompt.report),
                **{name: getattr(prompt, name) for name in NUMBERS},
                "seed": seed,
                "index": index,
                "model": self.name,
                "model_hash": self.hash,
                "planned_peaks": peaks,
            },
        )


def _understood(prompt: Prompt) -> Prompt:
    return dataclasses.replace(prompt, report=understood(prompt.report))


@functools.lru_cache(maxsize=8)
def _decoder(functional):
    """f(params, buffers, codes) -> (B, T, L) mV, one ECG after the other, so that a microvolt is rounded to the same
    side in every batch."""

    def run(params, buffers, codes_BxNxQ):
        model = functional.merge(params, buffers)
        return jax.lax.map(lambda codes: model.reconstruct(codes[None])[0], codes_BxNxQ)

    return jax.jit(run)


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
    """A bundle by the name of one that ships, or by its directory; ValueError for a model of another kind."""
    path = bundle.resolve(name)
    if kind := bundle.kind_of(path):
        raise ValueError(
            f"{name} makes no ECGs from reports (it is of kind {kind!r}); give a text-to-ECG bundle such as demo"
        )
    return TextToECG(path)
