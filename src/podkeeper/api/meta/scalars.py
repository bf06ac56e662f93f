"""Scalars of the API with the range or the form that the wire demands; a value outside it is a decoding error.

Times are RFC 3339 text as Go writes it, and bytes stay base64 text, so that what was read is what is written.
"""

from typing import Annotated, TypeAlias

from msgspec import Meta

Int32: TypeAlias = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Int64: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
IntOrString: TypeAlias = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] | str

#: February has 29 days here: years are not counted.
_DAY = (
    r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|[12][0-9]))"
)
_DAY_AND_TIME = rf"^[0-9]{{4}}-{_DAY}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
#: As Go writes times: in UTC, whole seconds or millionths. Others become these (``timestamps.canonical``).
RFC3339 = rf"{_DAY_AND_TIME}Z\Z"
RFC3339_MICRO = rf"{_DAY_AND_TIME}\.[0-9]{{6}}Z\Z"
Time: TypeAlias = Annotated[str, Meta(pattern=RFC3339)]
MicroTime: TypeAlias = Annotated[str, Meta(pattern=RFC3339_MICRO)]

# Groups of four and a padded rest. Line breaks are allowed anywhere, as Go's decoder allows them: YAML block texts end
# with one. The first alternative is the common case alone and takes a megabyte in some ten milliseconds.
BASE64 = (
    r"^(?:[A-Za-z0-9+/]{4}|[\r\n]+|(?:[A-Za-z0-9+/][\r\n]*){4})*+"
    r"(?:(?:[A-Za-z0-9+/][\r\n]*){2}=[\r\n]*=[\r\n]*|(?:[A-Za-z0-9+/][\r\n]*){3}=[\r\n]*)?\Z"
)
Base64: TypeAlias = Annotated[str, Meta(pattern=BASE64)]
