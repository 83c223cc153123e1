"""Logs as people have them: of clients, proxies and tracing, turned into datasets."""

from graphrouter.logs.grade_scales import GradeScale
from graphrouter.logs.log_dataset import ConvertedLog, TaskSource
from graphrouter.logs.log_reading import LOG_FORMS, find_form, read_log
from graphrouter.logs.masking import load_mask

__all__ = [
    "LOG_FORMS",
    "ConvertedLog",
    "GradeScale",
    "TaskSource",
    "find_form",
    "load_mask",
    "read_log",
]
