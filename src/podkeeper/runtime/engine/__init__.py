"""The container engine: sandboxes and containers on an OCI runtime, each container under a small native monitor."""

from podkeeper.runtime.engine.config import EngineConfig, Images
from podkeeper.runtime.engine.engine import Engine
from podkeeper.runtime.engine.sweep import sweep

__all__ = ["Engine", "EngineConfig", "Images", "sweep"]
