"""Fixed ground of every experiment: data, tokenizer, time budget and evaluation.

Read-only for the agent. Run it once as a script, then trainer/train.py imports it:

    python prepare.py [--profile cpu|smoke|mps|h100] [--corpus PATH] [--data DIR] [--force]
    python prepare.py --check

One profile's data is a directory of four files: `tokenizer.json`, `train.npy`, `val.npy` and,
written last, `manifest.json` with the hash of each. val_bpb is comparable only within one
manifest, one time budget and one class of device.

Environment: NIGHTLAB_PROFILE (default cpu), NIGHTLAB_DATA (default `data` beside this file),
NIGHTLAB_BUDGET_SECONDS (overrides the profile's time budget), HF_ENDPOINT (a mirror of the hub).
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib.metadata
import json
import math
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import tiktoken
    import torch

# ------------------------------------------------------------------------------------------
# Profiles: what an experiment cannot change


@dataclass(frozen=True, slots=True)
class Profile:
    """Fixed constants of one class of machine."""

    name: str
    vocab_size: int  # tokens, the special token included
    sequence_len: int  # T, context length in tokens
    time_budget_seconds: float  # training time, warm-up and evaluation excluded
    step_budget: int | None  # stop after this many optimizer steps instead of after the time
    eval_tokens: int  # validation targets scored by evaluate_bpb, a multiple of sequence_len
    eval_rows: int  # rows given to the model at once: bounds the memory of its logits
    corpus: str  # default corpus: "sympy" or "climbmix"
    corpus_bytes: int | None  # use about this much text, None: all of it
    tokenizer_bytes: int  # train the tokenizer on about this much text


PROFILES = {
    profile.name: profile
    for profile in (
        # vocab 1024: on 2 cores the softcap and cross-entropy of a larger one eat the budget
        Profile("cpu", 1024, 256, 60.0, None, 65_536, 8, "sympy", None, 32_000_000),
        # tests: steps instead of seconds, so the result does not depend on the machine's load
        Profile("smoke", 512, 128, 60.0, 30, 16_384, 16, "sympy", 2_000_000, 500_000),
        Profile("mps", 2048, 512, 300.0, None, 262_144, 32, "sympy", None, 32_000_000),
        # autoresearch's own constants
        Profile("h100", 8192, 2048, 300.0, None, 40 * 524_288, 8, "climbmix", None, 500_000_000),
    )
}

DATA_VERSION = 1  # raise when packing, splitting or the evaluation formula changes
SPECIAL_TOKEN = "<|bos|>"  # begins every document and every row; its id is vocab_size - 1
# GPT-4's split, with at most two digits in a token: a small vocabulary has no room for 1000 numbers
SPLIT_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)

SYMPY_VERSION = "1.14.0"  # a pure Python wheel that torch needs anyway: same bytes everywhere
SYMPY_SHA256 = "cde02231409908a5af05177ad7deb1bd07cb92a06fe1d80c12818bf12aa60f50"
SYMPY_MIN_CHARS = 200  # shorter files are licence headers and empty packages

CLIMBMIX = "datasets/karpathy/climbmix-400b-shuffle/resolve/main/shard_{:05d}.parquet"
CLIMBMIX_VAL_SHARD = 6542  # the last one: validation, never training
DEFAULT_SHARDS = 10
DOWNLOAD_ATTEMPTS = 6
DOWNLOAD_WORKERS = 4

HELD_OUT = 0.05  # share of a local corpus kept for validation
MAX_HELD_OUT = 0.2  # of a corpus so small that 5 % would not fill the evaluation


class PrepareError(Exception):
    """Data cannot be prepared or used; the message says what to do."""


class NoDataError(PrepareError):
    """A profile has no complete, matching data."""

    def __init__(self, profile: Profile, directory: Path, problem: str = "no data") -> None:
        super().__init__(
            f"prepare: {problem} for profile {profile.name!r} in {directory}; "
            f"run python prepare.py --profile {profile.name}"
        )


def active_profile(name: str | None = None) -> Profile:
    """Return the named profile, else the one NIGHTLAB_PROFILE names, else `cpu`.

    Raises:
        PrepareError: There is no such profile.
    """
    name = name or os.environ.get("NIGHTLAB_PROFILE") or "cpu"
    if name not in PROFILES:
        raise PrepareError(f"prepare: no profile {name!r}; choose one of {', '.join(PROFILES)}")
    return PROFILES[name]


def data_directory(profile: Profile, root: str | Path | None = None) -> Path:
    """Return where a profile's data lies: `<root, NIGHTLAB_DATA or data/>/<profile>`."""
    return data_root(root) / profile.name


def data_root(root: str | Path | None = None) -> Path:
    """Return the directory of all profiles' data."""
    return Path(root or os.environ.get("NIGHTLAB_DATA") or Path(__file__).resolve().parent / "data")


def time_budget(profile: Profile) -> float:
    """Return the seconds of training, which NIGHTLAB_BUDGET_SECONDS overrides.

    Raises:
        PrepareError: The variable is no positive number.
    """
    text = os.environ.get("NIGHTLAB_BUDGET_SECONDS")
    if not text:
        return profile.time_budget_seconds
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise PrepareError(
            f"prepare: NIGHTLAB_BUDGET_SECONDS is {text!r}; set it to a positive number of seconds"
        )
    return seconds


# ------------------------------------------------------------------------------------------
# Corpus: documents in parquet files with one `text` column


@dataclass(frozen=True, slots=True)
class Corpus:
    """Parquet files of documents, and how they were found."""

    source: str  # "sympy==1.14.0", "climbmix:10", "file:NAME"
    train_files: tuple[Path, ...]
    val_files: tuple[Path, ...]  # empty: hold out documents of train_files


def documents(files: Iterable[Path]) -> Iterator[str]:
    """Yield the `text` column of parquet files, row group by row group, empty texts left out.

    Raises:
        PrepareError: A file is damaged or has no column of strings named `text`.
    """
    import pyarrow
    import pyarrow.parquet

    for path in files:
        try:
            with pyarrow.parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=1024, columns=["text"]):
                    yield from (text for text in batch.column(0).to_pylist() if text)
        except (pyarrow.ArrowException, OSError, IndexError) as error:
            reason = str(error).splitlines()[0]
            raise PrepareError(
                f"prepare: {path} cannot be read as parquet with a `text` column ({reason}); "
                "delete it and prepare again, or give another --corpus"
            ) from error


def write_parquet(texts: Iterable[str], path: Path) -> None:
    """Write documents as the `text` column of a parquet file, in one rename."""
    import pyarrow
    import pyarrow.parquet

    schema = pyarrow.schema([("text", pyarrow.string())])
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".tmp")
    with pyarrow.parquet.ParquetWriter(partial, schema, compression="zstd") as writer:
        batch: list[str] = []
        for text in texts:
            batch.append(text)
            if len(batch) == 1024:
                writer.write_table(pyarrow.table({"text": batch}, schema=schema))
                batch = []
        if batch:
            writer.write_table(pyarrow.table({"text": batch}, schema=schema))
    partial.replace(path)


def sympy_texts() -> list[str]:
    """Return the Python sources of the installed sympy, sorted by path.

    Raises:
        PrepareError: sympy is absent, of another version, or its files were changed.
    """
    fix = f"run pip install --force-reinstall --no-deps sympy=={SYMPY_VERSION}"
    try:
        distribution = importlib.metadata.distribution("sympy")
    except importlib.metadata.PackageNotFoundError as error:
        raise PrepareError(f"prepare: the corpus is the source text of sympy; {fix}") from error
    if distribution.version != SYMPY_VERSION:
        raise PrepareError(
            f"prepare: the corpus is sympy {SYMPY_VERSION}, installed is {distribution.version}; "
            + fix
        )
    names = sorted(str(file) for file in distribution.files or () if file.suffix == ".py")
    try:
        texts = [Path(str(distribution.locate_file(n))).read_bytes().decode() for n in names]
    except (OSError, UnicodeDecodeError) as error:
        raise PrepareError(f"prepare: the installed sympy is damaged ({error}); {fix}") from error
    texts = [text for text in texts if len(text) >= SYMPY_MIN_CHARS]
    if digest_of(texts) != SYMPY_SHA256:
        raise PrepareError(f"prepare: the files of the installed sympy were changed; {fix}")
    return texts


def user_texts(path: Path) -> Iterator[str]:
    """Yield the documents of a text file or of a directory of them, sorted by path.

    A single file has no documents of its own: it is cut at blank lines into pieces of at
    least 4,000 characters, so that some can be held out for validation.

    Raises:
        PrepareError: A single file is not UTF-8.
    """
    if path.is_dir():
        hidden = [f for f in sorted(path.rglob("*")) if f.is_file()]
        for file in hidden:
            if any(part.startswith(".") for part in file.relative_to(path).parts):
                continue
            try:
                yield file.read_bytes().decode()
            except UnicodeDecodeError:
                print(f"skipped {file}: not UTF-8", file=sys.stderr)
        return
    try:
        paragraphs = path.read_bytes().decode().split("\n\n")
    except UnicodeDecodeError as error:
        raise PrepareError(f"prepare: {path} is not UTF-8 text; convert it first") from error
    piece: list[str] = []
    for paragraph in paragraphs:
        piece.append(paragraph)
        if sum(map(len, piece)) >= 4000:
            yield "\n\n".join(piece)
            piece = []
    if piece:
        yield "\n\n".join(piece)


def find_corpus(profile: Profile, root: Path, path: Path | None, shards: int) -> Corpus:
    """Return the corpus as parquet files, building or downloading them where needed.

    Raises:
        PrepareError: There is no such corpus, or the download failed for good.
    """
    if path is not None:
        if not path.exists():
            raise PrepareError(f"prepare: no file or directory {path}; give another --corpus")
        files = [path] if path.is_file() else sorted(path.glob("*.parquet"))
        source = f"file:{path.resolve().name}"
        if files and all(file.suffix == ".parquet" for file in files):
            return Corpus(source, tuple(files), ())
        target = root / "corpus" / f"{profile.name}-user.parquet"
        write_parquet(user_texts(path), target)
        return Corpus(source, (target,), ())
    if profile.corpus == "climbmix":
        train, val = download_shards(root / "corpus" / "climbmix", shards)
        return Corpus(f"climbmix:{shards}", tuple(train), (val,))
    target = root / "corpus" / f"sympy-{SYMPY_VERSION}.parquet"
    if not target.exists() or digest_of(documents([target])) != SYMPY_SHA256:
        write_parquet(sympy_texts(), target)
    return Corpus(f"sympy=={SYMPY_VERSION}", (target,), ())


# ------------------------------------------------------------------------------------------
# Download of climbmix shards (profile h100)


class KeepChecksum(urllib.request.HTTPRedirectHandler):
    """Follow redirects and keep the sha256 that the hub sends with the first answer."""

    def __init__(self) -> None:
        self.sha256: str | None = None

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Any,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Note the checksum before the next address is asked."""
        self.sha256 = checksum_in(headers) or self.sha256
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def checksum_in(headers: Any) -> str | None:
    """Return the sha256 in a hub's `X-Linked-Etag` or `ETag` header, if it is one."""
    for name in ("X-Linked-Etag", "ETag"):
        value = (headers.get(name) or "").removeprefix("W/").strip('"').lower()
        if len(value) == 64 and not value.strip("0123456789abcdef"):
            return str(value)
    return None


def download_shards(directory: Path, shards: int, pause: float = 1.0) -> tuple[list[Path], Path]:
    """Download training shards 0..shards-1 and the validation shard; return their paths.

    Complete shards are kept. Only network faults are retried, with a pause that doubles.

    Raises:
        PrepareError: A shard could not be downloaded.
    """
    if not 1 <= shards <= CLIMBMIX_VAL_SHARD:
        raise PrepareError(f"prepare: --shards is {shards}; give 1 to {CLIMBMIX_VAL_SHARD}")
    directory.mkdir(parents=True, exist_ok=True)
    base = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    urls = [
        f"{base.rstrip('/')}/{CLIMBMIX.format(number)}"
        for number in [*range(shards), CLIMBMIX_VAL_SHARD]
    ]
    paths = [directory / url.rpartition("/")[2] for url in urls]
    with ThreadPoolExecutor(DOWNLOAD_WORKERS) as pool:
        jobs = [
            pool.submit(download, url, path, pause) for url, path in zip(urls, paths, strict=True)
        ]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return paths[:-1], paths[-1]


def download(url: str, path: Path, pause: float = 1.0) -> None:
    """Download one file unless it is there, checked and renamed into place when complete.

    Raises:
        PrepareError: Every attempt failed, or the server refused.
    """
    if path.exists():
        return
    problem = ""
    for attempt in range(DOWNLOAD_ATTEMPTS):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            fetch(url, path)
        except urllib.error.HTTPError as error:
            problem = f"HTTP {error.code}"
            if error.code < 500 and error.code not in (408, 429):
                break  # refused: asking again will not help
        except (OSError, ValueError) as error:  # URLError, time-outs, resets are OSError
            problem = str(error) or type(error).__name__
        else:
            print(f"downloaded {path.name}", file=sys.stderr)
            return
    raise PrepareError(
        f"prepare: {url} could not be downloaded ({problem}); "
        "check the network and run the same command again, complete shards are kept"
    )


def fetch(url: str, path: Path) -> None:
    """Download once into `<path>.tmp`, compare size and checksum, rename.

    Raises:
        ValueError: The bytes are not those the server announced.
        OSError: The network failed.
    """
    keep = KeepChecksum()
    partial = path.with_name(path.name + ".tmp")
    digest = hashlib.sha256()
    size = 0
    with (
        urllib.request.build_opener(keep).open(url, timeout=60) as answer,
        partial.open("wb") as file,
    ):
        while block := answer.read(1 << 20):
            file.write(block)
            digest.update(block)
            size += len(block)
        announced = answer.headers.get("Content-Length")
        expected = keep.sha256 or checksum_in(answer.headers)
    if announced is not None and int(announced) != size:
        raise ValueError(f"{size} of {announced} bytes arrived")
    if expected is not None and expected != digest.hexdigest():
        raise ValueError("the checksum differs")
    partial.replace(path)


# ------------------------------------------------------------------------------------------
# Tokenizer: trained by rustbpe, used through tiktoken, stored as JSON (never pickle)


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> list[bytes]:
    """Return the bytes of each ordinary token, by id.

    Raises:
        PrepareError: The text is too small for that many merges.
    """
    import rustbpe

    trainer = rustbpe.Tokenizer()
    trainer.train_from_iterator(iter(texts), vocab_size - 1, pattern=SPLIT_PATTERN)
    ranks = sorted(trainer.get_mergeable_ranks(), key=lambda pair: pair[1])
    if len(ranks) != vocab_size - 1:
        raise PrepareError(
            f"prepare: the corpus gives {len(ranks)} tokens, the profile needs {vocab_size - 1}; "
            "give a larger --corpus"
        )
    return [bytes(token) for token, _ in ranks]


def tokenizer_json(tokens: list[bytes]) -> str:
    """Return a tokenizer as JSON text."""
    data = {
        "pattern": SPLIT_PATTERN,
        "special_tokens": {SPECIAL_TOKEN: len(tokens)},
        "tokens": [base64.b64encode(token).decode() for token in tokens],
    }
    return json.dumps(data, indent=0) + "\n"


def load_tokens(path: Path) -> list[bytes]:
    """Return the bytes of each ordinary token of a tokenizer file, by id."""
    return [base64.b64decode(text) for text in json.loads(path.read_text("utf-8"))["tokens"]]


def encoding(tokens: list[bytes]) -> tiktoken.Encoding:
    """Return the tiktoken encoding of a list of tokens; `<|bos|>` gets the last id."""
    import tiktoken

    return tiktoken.Encoding(
        name="nightlab",
        pat_str=SPLIT_PATTERN,
        mergeable_ranks={token: rank for rank, token in enumerate(tokens)},
        special_tokens={SPECIAL_TOKEN: len(tokens)},
    )


# ------------------------------------------------------------------------------------------
# Packing: documents into rows of T + 1 tokens


def pack(token_arrays: Iterable[np.ndarray], bos: int, width: int) -> Iterator[np.ndarray]:
    """Yield rows of ``width`` tokens, uint16, each beginning with ``bos``.

    Documents follow one another, each behind its own ``bos``; one that does not fit goes on in
    the next row, behind a ``bos``. So every token of every document is a target exactly once,
    except fewer than ``width`` at the very end (the last row is dropped unless full).
    """
    stream = np.empty(0, dtype=np.uint16)
    begin = np.array([bos], dtype=np.uint16)
    for tokens in token_arrays:
        stream = np.concatenate([stream, begin, tokens.astype(np.uint16)])
        position = 0
        while True:
            cut = stream[position] != bos if position < len(stream) else False
            end = position + width - int(cut)
            if end > len(stream):
                break
            row = stream[position:end]
            yield np.concatenate([begin, row]) if cut else row
            position = end
        stream = stream[position:]


def write_rows(rows: Iterable[np.ndarray], path: Path, width: int) -> int:
    """Write rows as an `.npy` file of shape (N, width), uint16, without holding them; return N."""
    with path.open("wb") as file:
        write_header(file, 0, width)
        start = file.tell()
        count = 0
        for row in rows:
            file.write(row.tobytes())
            count += 1
        file.seek(0)
        write_header(file, count, width)
        if file.tell() != start:  # numpy reserves room for the first axis to grow
            raise PrepareError(f"prepare: the header of {path} changed its length; update numpy")
    return count


def write_header(file: IO[bytes], rows: int, width: int) -> None:
    """Write the header of an `.npy` file of little-endian uint16 rows."""
    header = {"descr": "<u2", "fortran_order": False, "shape": (rows, width)}
    np.lib.format.write_array_header_1_0(file, header)


# ------------------------------------------------------------------------------------------
# Building one profile's data


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a profile's data consists of; `id` stands in every result."""

    id: str  # "m" and the first 16 hex digits of the sha256 over everything below
    version: int  # DATA_VERSION
    profile: str
    vocab_size: int
    sequence_len: int
    eval_tokens: int
    source: str  # of the corpus
    corpus_sha256: str  # over the documents, in order
    documents: int
    corpus_bytes: int  # UTF-8
    train_rows: int
    val_rows: int
    files: dict[str, dict[str, Any]]  # name -> {"bytes", "sha256"}


def digest_of(texts: Iterable[str]) -> str:
    """Return the sha256 over documents in order, each behind its length."""
    return measure(texts)[0]


def measure(texts: Iterable[str]) -> tuple[str, int, int]:
    """Return sha256, number and UTF-8 bytes of documents."""
    digest = hashlib.sha256()
    count = size = 0
    for text in texts:
        raw = text.encode()
        digest.update(len(raw).to_bytes(8, "little"))
        digest.update(raw)
        count += 1
        size += len(raw)
    return digest.hexdigest(), count, size


def key_of(text: str) -> bytes:
    """Return the key by which a document is ordered and known again."""
    return hashlib.sha256(text.encode()).digest()


def split(corpus: Corpus, profile: Profile) -> tuple[set[bytes], set[bytes] | None]:
    """Return the keys of the validation and of the used training documents (None: all others).

    Documents are drawn in the order of their hash: the choice depends on nothing but their
    text, and equal documents always land on the same side.
    """
    if corpus.val_files:
        return {key_of(text) for text in documents(corpus.val_files)}, None
    sizes = {key_of(text): len(text.encode()) for text in documents(corpus.train_files)}
    total = sum(sizes.values())
    used = min(total, profile.corpus_bytes or total)
    # 8 bytes a token leave room for any tokenizer; small corpora give up to a fifth
    held_out = min(max(HELD_OUT * used, 8 * profile.eval_tokens), MAX_HELD_OUT * used)
    val: set[bytes] = set()
    train: set[bytes] = set()
    val_size = train_size = 0
    for key in sorted(sizes):
        if val_size < held_out:
            val.add(key)
            val_size += sizes[key]
        elif train_size < used - held_out:
            train.add(key)
            train_size += sizes[key]
    return val, train


def build(
    profile: Profile, root: Path, path: Path | None = None, shards: int = DEFAULT_SHARDS
) -> Manifest:
    """Prepare a profile's data from a corpus; the manifest is written last.

    Equal corpora give equal bytes, so it does not matter how often or where this ran.

    Raises:
        PrepareError: The corpus is missing or too small.
    """
    corpus = find_corpus(profile, root, path, shards)
    directory = root / profile.name
    work = root / f"{profile.name}.tmp"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        manifest = build_files(profile, corpus, work)
        directory.mkdir(exist_ok=True)
        (directory / "manifest.json").unlink(missing_ok=True)
        for name in [*manifest.files, "manifest.json"]:
            (work / name).replace(directory / name)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return manifest


def build_files(profile: Profile, corpus: Corpus, work: Path) -> Manifest:
    """Write tokenizer, rows and manifest of a corpus into ``work``."""
    val_keys, train_keys = split(corpus, profile)

    def train_texts() -> Iterator[str]:
        for text in documents(corpus.train_files):
            key = key_of(text)
            if key not in val_keys and (train_keys is None or key in train_keys):
                yield text

    def val_texts() -> Iterator[str]:
        files = corpus.val_files or corpus.train_files
        return (text for text in documents(files) if key_of(text) in val_keys)

    tokens = train_tokenizer(head(train_texts(), profile.tokenizer_bytes), profile.vocab_size)
    (work / "tokenizer.json").write_text(tokenizer_json(tokens), "utf-8")
    width = profile.sequence_len + 1
    train_rows = write_rows(
        pack(encode(train_texts(), tokens), len(tokens), width), work / "train.npy", width
    )
    val_rows = choose_rows(list(pack(encode(val_texts(), tokens), len(tokens), width)), profile)
    write_rows(val_rows, work / "val.npy", width)
    if not train_rows:
        raise PrepareError("prepare: the corpus has no full training row; give a larger --corpus")
    sha256, count, size = measure(documents([*corpus.train_files, *corpus.val_files]))
    fields: dict[str, Any] = {
        "version": DATA_VERSION,
        "profile": profile.name,
        "vocab_size": profile.vocab_size,
        "sequence_len": profile.sequence_len,
        "eval_tokens": profile.eval_tokens,
        "source": corpus.source,
        "corpus_sha256": sha256,
        "documents": count,
        "corpus_bytes": size,
        "train_rows": train_rows,
        "val_rows": len(val_rows),
        "files": {
            name: {"bytes": (work / name).stat().st_size, "sha256": file_sha256(work / name)}
            for name in ("tokenizer.json", "train.npy", "val.npy")
        },
    }
    manifest = Manifest(id=manifest_id(fields), **fields)
    (work / "manifest.json").write_text(json.dumps(asdict(manifest), indent=2) + "\n", "utf-8")
    return manifest


def head(texts: Iterable[str], limit: int) -> Iterator[str]:
    """Yield documents until they hold ``limit`` characters."""
    for text in texts:
        if limit <= 0:
            return
        limit -= len(text)
        yield text


def encode(texts: Iterable[str], tokens: list[bytes]) -> Iterator[np.ndarray]:
    """Yield the tokens of each document, in order, encoded on all cores."""
    tokenizer = encoding(tokens)

    def one(text: str) -> np.ndarray:
        tokens_of_text: np.ndarray = tokenizer.encode_to_numpy(text, disallowed_special=())
        return tokens_of_text

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        batch: list[str] = []
        for text in texts:
            batch.append(text)
            if len(batch) == 512:
                yield from pool.map(one, batch)
                batch = []
        yield from pool.map(one, batch)


def choose_rows(rows: list[np.ndarray], profile: Profile) -> list[np.ndarray]:
    """Return the validation rows: a fixed draw over all held-out documents.

    Raises:
        PrepareError: The held-out documents are too small for the profile's evaluation.
    """
    wanted = profile.eval_tokens // profile.sequence_len
    if len(rows) < wanted:
        raise PrepareError(
            f"prepare: the corpus gives {len(rows)} validation rows of {profile.sequence_len} "
            f"tokens, profile {profile.name!r} needs {wanted}; give a larger --corpus"
        )
    order = np.random.RandomState(0).permutation(len(rows))[:wanted]
    return [rows[index] for index in np.sort(order)]


def manifest_id(fields: dict[str, Any]) -> str:
    """Return the hash over a manifest's fields other than its id, never readable as a number."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return "m" + hashlib.sha256(text.encode()).hexdigest()[:16]


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ------------------------------------------------------------------------------------------
# Loading


@dataclass(frozen=True, slots=True)
class Data:
    """One profile's prepared data."""

    profile: Profile
    manifest: Manifest
    train: np.ndarray  # uint16, shape (N, T + 1), memory-mapped
    val: np.ndarray  # uint16, shape (eval_tokens / T, T + 1), memory-mapped
    token_bytes: np.ndarray  # int32, shape (vocab_size,): UTF-8 length of a token, 0 if special


def load_manifest(profile: Profile | None = None, root: str | Path | None = None) -> Manifest:
    """Return the manifest of a profile's data after a cheap check: its id and the files' sizes.

    Raises:
        NoDataError: Data are missing, incomplete, damaged, or of other constants.
    """
    profile = profile or active_profile()
    directory = data_directory(profile, root)
    try:
        fields = json.loads((directory / "manifest.json").read_text("utf-8"))
        stated = fields.pop("id")
        manifest = Manifest(id=manifest_id(fields), **fields)
        sizes = {name: entry["bytes"] for name, entry in manifest.files.items()}
    except FileNotFoundError:
        raise NoDataError(profile, directory) from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise NoDataError(profile, directory, "damaged manifest") from None
    wanted = (DATA_VERSION, profile.vocab_size, profile.sequence_len, profile.eval_tokens)
    if wanted != (
        manifest.version, manifest.vocab_size, manifest.sequence_len, manifest.eval_tokens
    ):  # fmt: skip
        raise NoDataError(profile, directory, "data of other constants")
    if stated != manifest.id:
        raise NoDataError(profile, directory, "damaged manifest")
    for name, size in sizes.items():
        path = directory / name
        if not path.is_file() or path.stat().st_size != size:
            raise NoDataError(profile, directory, f"damaged data ({name})")
    return manifest


def verify(profile: Profile, root: str | Path | None = None) -> Manifest:
    """Return the manifest after comparing every file's hash with it.

    Raises:
        NoDataError: A file's bytes differ.
    """
    manifest = load_manifest(profile, root)
    directory = data_directory(profile, root)
    for name, entry in manifest.files.items():
        if file_sha256(directory / name) != entry["sha256"]:
            raise NoDataError(profile, directory, f"damaged data ({name})")
    return manifest


def load_data(profile: Profile | None = None, root: str | Path | None = None) -> Data:
    """Return a profile's rows and token lengths, after `load_manifest`'s check.

    Raises:
        NoDataError: As `load_manifest`.
    """
    profile = profile or active_profile()
    manifest = load_manifest(profile, root)
    directory = data_directory(profile, root)
    lengths = [len(token) for token in load_tokens(directory / "tokenizer.json")]
    return Data(
        profile=profile,
        manifest=manifest,
        train=np.load(directory / "train.npy", mmap_mode="r"),
        val=np.load(directory / "val.npy", mmap_mode="r"),
        token_bytes=np.array([*lengths, 0], dtype=np.int32),
    )


def batches(
    rows: np.ndarray, batch_size: int, seed: int, device: torch.device | str = "cpu"
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield training batches (x, y) for ever, in an order fixed by the seed.

    Every epoch is its own permutation of all rows; batches run on over its end.

    Args:
        rows: Token rows, shape (N, T + 1).
        batch_size: Rows a batch, B.
        seed: Of the order. RandomState's stream is frozen by numpy, so it holds across versions.
        device: Where the batch goes; to CUDA from pinned memory, without waiting.
    Yields:
        Inputs and targets, int64, each of shape (B, T): y is x shifted by one token.
    """
    import torch

    state = np.random.RandomState(seed)
    pinned = torch.device(device).type == "cuda"
    order = np.empty(0, dtype=np.int64)
    while True:
        while len(order) < batch_size:
            order = np.concatenate([order, state.permutation(len(rows))])
        chosen, order = order[:batch_size], order[batch_size:]
        tokens = torch.from_numpy(rows[chosen].astype(np.int64))
        pair = (tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())
        if pinned:
            pair = (pair[0].pin_memory(), pair[1].pin_memory())
        yield pair[0].to(device, non_blocking=pinned), pair[1].to(device, non_blocking=pinned)


# ------------------------------------------------------------------------------------------
# Evaluation


def evaluate_bpb(model: Any, data: Data, device: torch.device | str = "cpu") -> float:
    """Return validation bits per byte, which does not depend on the vocabulary size.

    The model sees inputs only: targets never reach the agent's code, not even through the
    memory behind an input, and the cross-entropy is computed here, in float32, from logits.
    Tokens of zero bytes (special tokens) count in neither sum.

    Args:
        model: Maps tokens, int64 of shape (B, T), to logits of shape (B, T, vocab_size).
        data: Whose validation rows are scored, all of them, B = profile.eval_rows at a time.
        device: Where the model lives.
    Returns:
        sum(nats) / (ln 2 * sum(bytes)), in bits per byte; lower is better. NaN if a logit is.
    Raises:
        PrepareError: The logits have another shape, or the targets hold no bytes.
    Source:
        Bits per byte as in The Pile (Gao et al. 2020, arXiv:2101.00027, section 3.1).
    """
    import torch
    import torch.nn.functional as F

    if len(data.val) == 0:
        raise PrepareError("evaluate_bpb: there are no validation rows; run python prepare.py")
    token_bytes = torch.from_numpy(data.token_bytes).to(device)
    step = data.profile.eval_rows
    sums: list[torch.Tensor] = []
    with torch.no_grad():
        for start in range(0, len(data.val), step):
            tokens = data.val[start : start + step].astype(np.int64)
            inputs = torch.from_numpy(tokens[:, :-1].copy()).to(device)  # a copy: no way to y
            logits = model(inputs)
            shape = (*inputs.shape, data.profile.vocab_size)
            if tuple(logits.shape) != shape:
                raise PrepareError(
                    f"evaluate_bpb: the model returned shape {tuple(logits.shape)}; "
                    f"it must map tokens {tuple(inputs.shape)} to logits {shape}"
                )
            targets = torch.from_numpy(tokens[:, 1:].copy()).to(device)
            for row_logits, row_targets in zip(logits, targets, strict=True):
                nats = F.cross_entropy(row_logits.float(), row_targets, reduction="none")
                size = token_bytes[row_targets]
                sums.append(torch.stack([(nats * (size > 0)).sum(), size.sum().float()]))
    nats_sum, bytes_sum = torch.stack(sums).cpu().double().sum(0).tolist()
    if bytes_sum == 0:
        raise PrepareError("evaluate_bpb: the targets hold no bytes; run python prepare.py")
    return float(nats_sum / (math.log(2) * bytes_sum))


# ------------------------------------------------------------------------------------------
# Command line


def main(arguments: list[str] | None = None) -> int:
    """Prepare, or check, one profile's data; return the exit code."""
    parser = argparse.ArgumentParser(description="Prepare the data of one profile.")
    parser.add_argument(
        "--profile", choices=list(PROFILES), help="default: NIGHTLAB_PROFILE or cpu"
    )
    parser.add_argument("--corpus", type=Path, help="your own parquet (column `text`) or text")
    parser.add_argument("--data", type=Path, help="default: NIGHTLAB_DATA or data/")
    parser.add_argument("--shards", type=int, help="training shards to download (h100)")
    parser.add_argument("--force", action="store_true", help="prepare again")
    parser.add_argument("--check", action="store_true", help="compare every file with its hash")
    options = parser.parse_args(arguments)
    try:
        profile = active_profile(options.profile)
        root = data_root(options.data)
        if options.check:
            describe("data intact", verify(profile, root), root)
            return 0
        prepare(profile, root, options.corpus, options.shards, options.force)
    except (PrepareError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def prepare(
    profile: Profile, root: Path, path: Path | None, shards: int | None, force: bool
) -> Manifest:
    """Build a profile's data unless they are there; only one process at a time builds."""
    from filelock import FileLock

    ready = None if force else existing(profile, root, path, shards)
    if ready is None:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f"{profile.name}.lock"):
            ready = None if force else existing(profile, root, path, shards)
            if ready is None:
                start = time.monotonic()
                manifest = build(profile, root, path, shards or DEFAULT_SHARDS)
                describe(f"data prepared in {time.monotonic() - start:.1f} s", manifest, root)
                return manifest
    describe("data ready", ready, root)
    return ready


def existing(
    profile: Profile, root: Path, path: Path | None, shards: int | None
) -> Manifest | None:
    """Return the manifest of usable data of the wanted corpus, None if there is none.

    Without --corpus or --shards any complete data will do, so that a user's own corpus stays.
    """
    try:
        manifest = load_manifest(profile, root)
    except NoDataError:
        return None
    if path is not None:
        corpus = find_corpus(profile, root, path, 0)
        same = digest_of(documents(corpus.train_files)) == manifest.corpus_sha256
        return manifest if same else None
    if shards is not None and profile.corpus == "climbmix":
        return manifest if manifest.source == f"climbmix:{shards}" else None
    return manifest


def describe(what: str, manifest: Manifest, root: Path) -> None:
    """Print one line about prepared data."""
    tokens = manifest.train_rows * manifest.sequence_len / 1e6
    print(
        f"{what}: {root / manifest.profile}, {manifest.source}, {manifest.documents} documents, "
        f"{tokens:.1f}M training tokens, {manifest.eval_tokens} validation tokens, "
        f"manifest {manifest.id}"
    )


if __name__ == "__main__":
    sys.exit(main())
