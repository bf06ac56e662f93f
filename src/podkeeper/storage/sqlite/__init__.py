"""The embedded engine: one SQLite file as a revisioned log.

```
create/update/delete ─ decide against the heads in memory ─► group ─► writer thread: one commit, one fsync
                                                               │
get, range, watchers' past ─► reader threads (snapshots)       └─► acknowledged: futures, heads, feed of watchers
```
"""

from podkeeper.storage.sqlite.schema import DatabaseLocked, SchemaUnsupported
from podkeeper.storage.sqlite.store import SqliteStore
from podkeeper.storage.sqlite.wal import StoreDamaged

__all__ = ["DatabaseLocked", "SchemaUnsupported", "SqliteStore", "StoreDamaged"]
