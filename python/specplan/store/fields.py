"""The fields of records that are JSON documents, one document in each record; docs/format.md has their keys.

Programs and the clients of a server may record documents of other fields.
"""

from __future__ import annotations

ARTIFACT = "artifact"
"""A file below `artifacts/`."""
DELETED = "deleted_files"
"""Which version of which artifact was deleted."""
FILE_NOTES = "file_notes"
"""What was said of which file of an artifact."""
ABOUT = "about"
"""What an experiment was given beside its name."""
LOG = "log"
"""A message."""
METRICS = "metrics"
"""A row of metrics, of the node under whose name it was logged."""
TRACKS = "tracks"
"""An entry of a track, of the node that is its topic."""
PROGRESS = "progress"
"""How far all levels of a program are."""
JOB = "job"
"""One change of a job."""
RETURNED = "callback"
"""What a callback returned, beside its phase."""
MLFLOW = "mlflow"
"""Which run of MLflow a run is sent to."""
