"""What is wrong with a net: measured, named, and with a line of advice.

=========  ========================================================================
diagnose   looks for the usual faults of training
Diagnosis  what it returns: the findings, and a report of each layer
=========  ========================================================================
"""

from fastbp.diagnosis.diagnose import diagnose
from fastbp.diagnosis.findings import Diagnosis, Finding, LayerReport

__all__ = ["Diagnosis", "Finding", "LayerReport", "diagnose"]
