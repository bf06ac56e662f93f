"""What Go's JSON reader, as Kubernetes uses it, says of bodies that it refuses.

Nobody asks for this unless a body is known to be wrong, or to have fields that stand twice: the good path reads bodies
with other means. Source: sigs.k8s.io/json, encoding/json, and the UnmarshalJSON methods of k8s.io/apimachinery.
"""

from podkeeper.api.gojson.conversion import misfit
from podkeeper.api.gojson.decoding import Verdict, judge, judge_all, judge_free
from podkeeper.api.gojson.documents import Members, Number, read
from podkeeper.api.gojson.printing import printed
from podkeeper.api.gojson.quoting import quoted
from podkeeper.api.gojson.syntax import complaint

__all__ = [
    "Members",
    "Number",
    "Verdict",
    "complaint",
    "judge",
    "judge_all",
    "judge_free",
    "misfit",
    "printed",
    "quoted",
    "read",
]
