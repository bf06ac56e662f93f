"""Scalars of the API with the range or the form that the wire demands; a value outside it is a decoding error.

Times stay RFC 3339 text and bytes stay base64 text, so that what was read is what is written.
"""

from typing import Annotated, TypeAlias

from msgspec import Meta

Int32: TypeAlias = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Int64: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
IntOrString: TypeAlias = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] | str

_RFC3339 = r"^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d([.,]\d+)?([Zz]|[+-]\d\d:\d\d)$"
Time: TypeAlias = Annotated[str, Meta(pattern=_RFC3339)]
MicroTime: TypeAlias = Annotated[str, Meta(pattern=_RFC3339)]

# Line breaks are allowed, as Go's decoder allows them: YAML block texts end with one.
Base64: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9+/\r\n]*={0,2}[\r\n]*$")]
