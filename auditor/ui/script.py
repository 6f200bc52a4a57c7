"""The Streamlit script: picks the run, checks who is there, shows the page."""

from __future__ import annotations

from auditor.ui.views import show

show()
