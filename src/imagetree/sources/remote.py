"""Requests to servers, by http(s) and to S3: which URLs, how often, how long, and what came of it.

The connections and their event loop are fsspec's; a request that failed by chance is made again, a
few times, and none goes on for ever. What is asked, and what of the answers, is for others.
Sources: RFC 9110, section 15 (status codes); Amazon S3's API reference, "Error responses".
"""

from __future__ import annotations

import asyncio
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from imagetree.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
"""Longest silence of a server in the middle of an answer."""
REQUEST_SECONDS = 300.0
"""Longest time of one answer; eight megabytes in that time are 28 kB a second."""
RETRY_DELAYS = (0.2, 0.5, 1.0, 2.0)
"""Seconds to wait before the second try, the third, ..."""
MAX_CONNECTIONS = 64

_URL = re.compile(r"(https?|s3)://([^/?#\\\s]+)(?:[/?#]|$)", re.IGNORECASE)
_SECRETS = re.compile(
    r"x-(amz|goog)-(signature|credential|security-token)|awsaccesskeyid|signature|sig|"
    r"(access_?)?token|api_?key|password|passwd|secret",
    re.IGNORECASE,
)
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_HINT_SECRETS = (
    "give credentials apart: in ~/.netrc for http(s), in AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY for s3://BUCKET/KEY"
)
HINT_CHANGED = "import it again when nothing writes to it any more"

Answer = TypeVar("Answer")


class TransientError(Exception):
    """A failure that another try may mend."""


def fault_of_url(url: str) -> str:
    """Why a URL is refused; empty for one of http, https or S3 that holds no secret.

    >>> fault_of_url("s3://bucket/train.tar"), fault_of_url("https://me:word@host/train.tar")
    ('', 'the URL holds credentials')
    """
    found = _URL.match(url)
    if found is None or not url.isprintable():
        return "no URL of a file (expected http://, https:// or s3://)"
    if "@" in found[2]:
        return "the URL holds credentials"
    if found[1].lower() == "s3":
        return "" if url.split("/", 3)[3:] not in ([], [""]) else "the URL names no file"
    secrets = [name for name, _ in parse_qsl(urlsplit(url).query) if _SECRETS.fullmatch(name)]
    return f"the URL holds a secret ({secrets[0]}=)" if secrets else ""


def check_url(url: str) -> None:
    """Refuse a URL that cannot be stored and shown.

    Raises:
        DatabaseError: see `fault_of_url`.
    """
    fault = fault_of_url(url)
    if fault:
        raise DatabaseError(f"{without_secrets(url)}: {fault}", hint=_HINT_SECRETS)


def without_secrets(url: str) -> str:
    """A URL as it can be shown: without user, password, query and fragment.

    >>> without_secrets("https://me:word@host/a.tar?token=x")
    'https://host/a.tar'
    """
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    path = path if scheme == "s3" else re.split(r"[?#]", path, maxsplit=1)[0]
    return f"{scheme}{mark}{re.split(r'[?#]', host.rpartition('@')[2])[0]}{slash}{path}"


class Session:
    """Connections of one kind, shared by all threads; close it when none asks any more.

    Args:
        filesystem: fsspec's, which is closed with it.
        known: errors of its library; a request that ends with one is made again.
        final: those of them that another try would not mend.
        delays: seconds to wait before the second try, the third, ...; None for RETRY_DELAYS.
    """

    def __init__(
        self,
        filesystem: Any,
        known: tuple[type[BaseException], ...],
        final: tuple[type[BaseException], ...],
        delays: tuple[float, ...] | None = None,
    ) -> None:
        self._filesystem = filesystem
        self._known: tuple[type[BaseException], ...] = (TransientError, TimeoutError, *known)
        self._final = final
        self._delays = RETRY_DELAYS if delays is None else delays
        self.client = self._run(filesystem.set_session)

    def ask(self, where: str, question: Callable[..., Awaitable[Answer]], *args: object) -> Answer:
        """The answer to a request, which is made again where that may help.

        Args:
            where: what is asked for, for errors.
            question: makes the request; its errors are TransientError or DatabaseError.
            args: of the question.

        Raises:
            DatabaseError: it was refused, or failed each time.
        """
        answer: Answer = self._run(self._insist, where, question, args)
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._run(self.client.close)

    def _run(self, coroutine: Callable[..., Any], *args: object) -> Any:
        return import_module("fsspec.asyn").sync(self._filesystem.loop, coroutine, *args)

    async def _insist(
        self, where: str, question: Callable[..., Awaitable[Answer]], args: tuple[object, ...]
    ) -> Answer:
        fault = ""
        for delay in (0.0, *self._delays):
            await asyncio.sleep(delay)
            try:
                async with asyncio.timeout(REQUEST_SECONDS):
                    return await question(*args)
            except self._known as error:
                fault = _describe(error)
                if isinstance(error, self._final):
                    raise DatabaseError(f"{where}: {fault}") from error
        raise DatabaseError(
            f"{where}: no answer in {len(self._delays) + 1} tries ({fault})",
            hint="see whether the server can be reached, and run the command again",
        )


def http_session(delays: tuple[float, ...] | None = None, **options: object) -> Session:
    """Connections to http and https.

    Args:
        delays: see `Session`.
        options: of aiohttp's ClientSession, or `get_client`, see fsspec's HTTPFileSystem.

    Raises:
        DatabaseError: the libraries are not installed.
    """
    http, aiohttp = need("fsspec.implementations.http"), need("aiohttp")
    timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)
    # what is stored and hashed are the bytes as they lie there, so nothing may compress them
    defaults = {"timeout": timeout, "auto_decompress": False}
    get_client = options.pop("get_client", http.get_client)
    filesystem = http.HTTPFileSystem(
        skip_instance_cache=True,
        get_client=get_client,
        client_kwargs={**defaults, "headers": {"Accept-Encoding": "identity"}, **options},
    )
    final = (aiohttp.ClientSSLError, aiohttp.InvalidURL, aiohttp.TooManyRedirects)
    return Session(filesystem, (aiohttp.ClientError, OSError), final, delays)


def s3_session(delays: tuple[float, ...] | None = None) -> Session:
    """Connections to S3, or to the server in AWS_ENDPOINT_URL; as botocore finds its credentials.

    Where there are none, requests are not signed: public buckets can be read.

    Args:
        delays: see `Session`.

    Raises:
        DatabaseError: the libraries are not installed, or the environment cannot be understood.
    """
    s3fs, errors = need("s3fs.core"), need("botocore.exceptions")
    config = {
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
        "max_pool_connections": MAX_CONNECTIONS,
        "retries": {"total_max_attempts": 1},  # we count them, with those whose body breaks off
    }
    known = (errors.BotoCoreError, *s3fs.S3_RETRYABLE_ERRORS, OSError)
    final = (errors.SSLError, errors.NoCredentialsError, errors.ParamValidationError)
    try:
        for anon in (False, True):
            filesystem = s3fs.S3FileSystem(anon, config_kwargs=config, skip_instance_cache=True)
            session = Session(filesystem, known, final, delays)
            if anon or session.ask("s3", filesystem.session.get_credentials) is not None:
                break
            session.close()
    except (errors.BotoCoreError, ValueError) as error:
        raise DatabaseError(f"s3: {_describe(error)}", hint=_HINT_SECRETS) from error
    return session


async def call_s3(method: Callable[..., Any], where: str, names: dict[str, Any]) -> Any:
    """Call a method of botocore's client; its errors by status are ours.

    Raises:
        TransientError: another try may help.
        DatabaseError: it will not.
    """
    client_error = need("botocore.exceptions").ClientError
    try:
        return await method(**names)
    except client_error as error:
        judge_status(where, int(error.response["ResponseMetadata"]["HTTPStatusCode"]))
        raise DatabaseError(f"{where}: {error}") from error


def split_s3(url: str) -> tuple[str, str]:
    """Bucket and key.

    >>> split_s3("s3://bucket/folder/train.tar")
    ('bucket', 'folder/train.tar')
    """
    bucket, _, key = url.partition("://")[2].partition("/")
    return bucket, key


def judge_status(where: str, status: int, expected: int = 206) -> None:
    """Hold the status of an answer to the one that was expected: 206 for a byte range.

    Raises:
        TransientError: another try may help.
        DatabaseError: it will not.
    """
    if status == expected:
        return
    if status in _RETRIED:
        raise TransientError(f"status {status}")
    if status == 200:
        raise DatabaseError(
            f"{where}: the server sends whole files, and does not know byte ranges",
            hint="download it, and name the file on the disk",
        )
    if status in {412, 416}:
        raise changed(where)
    if status in {401, 403}:
        raise DatabaseError(f"{where}: access is denied (status {status})", hint=_HINT_SECRETS)
    if status in {404, 410}:
        raise DatabaseError(f"{where}: is not there (status {status})", hint="see whether it moved")
    raise DatabaseError(f"{where}: the server answers with status {status} (expected {expected})")


def changed(where: str) -> DatabaseError:
    """The error for an object that is another one than it was."""
    return DatabaseError(f"{where}: changed while it was read", hint=HINT_CHANGED)


def _describe(error: BaseException) -> str:
    if isinstance(error, TransientError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def need(module: str) -> Any:
    """A module of the libraries for servers, which not everyone installs.

    Raises:
        DatabaseError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise DatabaseError(
            f"reading from servers needs {error.name}", hint="pip install 'imagetree[remote]'"
        ) from error
