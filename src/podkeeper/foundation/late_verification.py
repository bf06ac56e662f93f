"""Client certificates that end no handshake: who has a wrong one is told so in an answer, as servers in Go do.

Python's ``ssl`` breaks a handshake off at a certificate that it cannot verify. OpenSSL itself can also go on and
remember what was wrong, SSL_CTX_set_verify(3) and SSL_get_verify_result(3), but the interpreter lends no hand for
either: both are called where it keeps OpenSSL's structures. That place is proved on objects made for the purpose;
where it is another one, or OpenSSL's functions are out of reach, handshakes break off as Python has it.

Everything else stays OpenSSL's: it verifies the chain and that the client has the key. Only its X509_V_OK counts.
"""

from __future__ import annotations

import _ssl
import ctypes
import ssl

_VERIFY_PEER = 0x01
_X509_V_OK = 0
#: Both of the interpreter's types begin as every object does; what follows is the same since Python 3.6.
_BEGINNING = object.__basicsize__
_POINTER = ctypes.sizeof(ctypes.c_void_p)
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)


def _go_on(_verified: int, _chain: int | None) -> int:
    return 1


#: Kept for as long as the process lives: OpenSSL holds no reference.
_GO_ON = _Callback(_go_on)


class LateVerification:
    """The verdicts on the client certificates of one context. ``of`` makes it, and changes the context."""

    def __init__(self, library: ctypes.CDLL, context: ssl.SSLContext) -> None:
        self._verify_result = library.SSL_get_verify_result
        self._context = context

    @classmethod
    def of(cls, context: ssl.SSLContext) -> LateVerification | None:
        """From now on ``context``, which asks clients for certificates, lets handshakes go on; None where it cannot."""
        library = _openssl()
        if library is None:
            return None
        probe = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
        own, connection = _pointer(id(context), 0), _connection_of(probe, context)
        if connection is None or own is None or library.SSL_get_SSL_CTX(connection) != own:
            return None
        library.SSL_CTX_set_verify(own, _VERIFY_PEER, _GO_ON)
        return cls(library, context)

    def trusts(self, connection: ssl.SSLObject | ssl.SSLSocket) -> bool:
        """Whether the certificate that came in this connection's handshake is of somebody whom the context trusts."""
        address = _connection_of(connection, self._context)
        return address is not None and self._verify_result(address) == _X509_V_OK


def _openssl() -> ctypes.CDLL | None:
    """The very library that ``ssl`` is linked with."""
    try:
        library = ctypes.CDLL(getattr(_ssl, "__file__", None))
        library.SSL_get_SSL_CTX.argtypes, library.SSL_get_SSL_CTX.restype = [ctypes.c_void_p], ctypes.c_void_p
        library.SSL_get_verify_result.argtypes = [ctypes.c_void_p]
        library.SSL_get_verify_result.restype = ctypes.c_long
        library.SSL_CTX_set_verify.argtypes = [ctypes.c_void_p, ctypes.c_int, _Callback]
        library.SSL_CTX_set_verify.restype = None
    except (OSError, AttributeError):
        return None
    return library


def _connection_of(connection: ssl.SSLObject | ssl.SSLSocket, context: ssl.SSLContext) -> int | None:
    """The address of OpenSSL's SSL: it lies between the socket's and the context's; None if that is not so."""
    inner = getattr(connection, "_sslobj", None)
    if inner is None or type(inner).__basicsize__ < _BEGINNING + 3 * _POINTER or _pointer(id(inner), 2) != id(context):
        return None
    return _pointer(id(inner), 1)


def _pointer(address: int, index: int) -> int | None:
    return ctypes.c_void_p.from_address(address + _BEGINNING + index * _POINTER).value
