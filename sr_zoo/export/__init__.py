"""Networks as files that run without this library."""

from sr_zoo.export.exporting import Exported, export_model

__all__ = ["Exported", "export_model"]
