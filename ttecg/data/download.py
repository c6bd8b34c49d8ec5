"""PTB-XL and LUDB from PhysioNet, file by file, each checked against the SHA-256 sums published there.

Used by `ttecg data prepare NAME --source FOLDER --download`. A file that is there and sound is not fetched
again, so an interrupted download goes on where it stopped.
"""

import concurrent.futures
import hashlib
import http.client
import pathlib
import re
import time
import urllib.error
import urllib.parse
import urllib.request

from tqdm import tqdm

from ttecg.data.staged import staged

ADDRESS = {
    "ptbxl": "https://physionet.org/files/ptb-xl/1.0.3/",
    "ludb": "https://physionet.org/files/ludb/1.0.1/",
}
SUMS = "SHA256SUMS.txt"
_AT_ONCE = 8
_TRIES = 3
_TIMEOUT_S = 60


def download(name: str, folder, rate: float | None = None, address: str | None = None) -> pathlib.Path:
    """Fetch into `folder` what `ttecg data prepare` needs of a data set, and return the folder.

    name: "ptbxl" (its tables and the recordings of `rate`, 100 or 500) or "ludb". ConnectionError, with the
    address, where a file cannot be had; ValueError where one arrives that does not have the published sum.
    """
    if name not in ADDRESS:
        raise ValueError(
            f"{name!r} cannot be downloaded, only {' and '.join(ADDRESS)}; give --source without --download"
        )
    address, folder = address or ADDRESS[name], pathlib.Path(folder)
    sums = _wanted(name, rate, parse_sums(_get(urllib.parse.urljoin(address, SUMS)).decode("utf-8")))
    if not sums:
        raise ValueError(
            f"{address}{SUMS} lists no file of {name} at {rate:g} Hz"
            if rate
            else f"{address}{SUMS} lists no file of {name}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        jobs = [pool.submit(_fetch, address, folder, path, sums[path]) for path in sums]
        try:
            for job in tqdm(
                concurrent.futures.as_completed(jobs),
                total=len(jobs),
                desc="download",
                unit="file",
                disable=None,
            ):
                job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return folder


def parse_sums(text: str) -> dict[str, str]:
    """{path: SHA-256} of a SHA256SUMS.txt; ValueError for a path that would leave the folder."""
    sums = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        found = re.fullmatch(r"([0-9a-fA-F]{64})\s+\*?(.+)", line)
        path = pathlib.PurePosixPath(found.group(2)) if found else None
        if path is None or path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{SUMS}: line {line[:90]!r} is not a SHA-256 sum and a path inside the folder")
        sums[path.as_posix()] = found.group(1).lower()
    return sums


def _wanted(name, rate, sums) -> dict[str, str]:
    folder = {"ptbxl": f"records{rate or 500:g}/", "ludb": "data/"}[name]
    return {path: value for path, value in sums.items() if "/" not in path or path.startswith(folder)}


def _get(url: str) -> bytes:
    for attempt in range(1, _TRIES + 1):
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
                return answer.read()
        except (OSError, http.client.HTTPException) as error:  # no connection, a timeout, an answer cut short
            gone = False
            if isinstance(error, urllib.error.HTTPError):
                error.close()
                gone = error.code < 500
            if attempt == _TRIES or gone:
                raise ConnectionError(
                    f"{url}: cannot be fetched ({error}); what has arrived is kept, so run the command again"
                ) from None
            time.sleep(attempt)


def _fetch(address, folder, path, wanted):
    target = folder / path
    if target.is_file() and _sum(target.read_bytes()) == wanted:
        return
    url = urllib.parse.urljoin(address, urllib.parse.quote(path))
    content = _get(url)
    if _sum(content) != wanted:
        raise ValueError(f"{url}: has not the SHA-256 sum that {SUMS} states; run the command again")
    with staged(target.parent, target.name) as temporary:
        (temporary / target.name).write_bytes(content)


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
