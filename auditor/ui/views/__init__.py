"""The pages, as functions. The folder is not called `pages`: Streamlit would take each file for a page of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import streamlit as st

from auditor.core.config import load_settings
from auditor.core.errors import AuditorError
from auditor.ui import workspace as workspaces
from auditor.ui.access import has_login
from auditor.ui.components import error_box
from auditor.ui.people import keep_address, recall_tolerance, require_login
from auditor.ui.views.benchmark import benchmark_page, has_benchmark
from auditor.ui.views.card import leave_other_cards
from auditor.ui.views.disagreements import disagreements_page
from auditor.ui.views.export import export_page
from auditor.ui.views.gallery import gallery_page
from auditor.ui.views.guidelines import guidelines_page
from auditor.ui.views.header import header
from auditor.ui.views.map import map_page
from auditor.ui.views.mine import mine_page
from auditor.ui.views.overview import overview_page
from auditor.ui.views.quality import quality_page
from auditor.ui.views.review import review_page
from auditor.ui.workspace import Workspace

#: Title, address, icon, function. There is no page for what does not exist.
PAGES: tuple[tuple[str, str, str, Callable[[Workspace], None]], ...] = (
    ("Overview", "overview", ":material/monitoring:", overview_page),
    ("Review", "review", ":material/rate_review:", review_page),
    ("My verdicts", "mine", ":material/history:", mine_page),
    ("Disagreements", "disagreements", ":material/balance:", disagreements_page),
    ("Gallery", "gallery", ":material/grid_view:", gallery_page),
    ("Map", "map", ":material/scatter_plot:", map_page),
    ("Guidelines", "guidelines", ":material/menu_book:", guidelines_page),
    ("Duplicates & quality", "quality", ":material/content_copy:", quality_page),
    ("Export", "export", ":material/download:", export_page),
)
#: Pages that are about classes: there are none for other labels.
_OF_CLASSES: Final = frozenset({"gallery", "map", "guidelines"})
#: Shown where the run folder holds such a result.
BENCHMARK = ("Benchmark", "benchmark", ":material/leaderboard:", benchmark_page)

_BROWSER: Final = Path(__file__).parents[1] / "browser"
#: Colours and sizes of pages and components.
_THEME: Final = _BROWSER / "theme.css"
#: Where the focus goes when the page changes; runs once in a browser's page.
_FOCUS: Final = f"<script>{(_BROWSER / 'focus.js').read_text(encoding='utf-8')}</script>"


def show() -> None:
    """One rerun of the app."""
    # An emoji is drawn in the browser; a material icon would be fetched from a font host.
    st.set_page_config(page_title="auditor", page_icon="✅", layout="wide")
    st.html(_THEME)
    st.html(_FOCUS, unsafe_allow_javascript=True)
    require_login()
    try:
        opened = workspaces.workspace()
    except AuditorError as error:
        _tell(error)
        return
    if opened is None:
        _pick_run()
        return
    pages = [
        st.Page(_bound(title, call, opened), title=title, url_path=path, icon=icon, default=path == "overview")
        for title, path, icon, call in (*PAGES, *([BENCHMARK] if has_benchmark(opened) else []))
        if opened.run.form is None or path not in _OF_CLASSES
    ]
    chosen = st.navigation(pages, position="top")
    if not has_login():
        keep_address()
    recall_tolerance(opened.store)
    chosen.run()


def _bound(title: str, call: Callable[[Workspace], None], opened: Workspace) -> Callable[[], None]:
    def page() -> None:
        header(opened, title)
        try:
            call(opened)
        except AuditorError as error:
            _tell(error)
        finally:
            leave_other_cards()

    page.__name__ = call.__name__
    return page


def _tell(error: AuditorError) -> None:
    st.error("The run cannot be shown.", icon=":material/error:")
    error_box(error)


def _pick_run() -> None:
    st.title("Label review")
    settings = load_settings()
    runs = workspaces.finished_runs(settings)
    if not runs:
        st.info("There is no finished run yet.")
        st.code("auditor find-errors DATASET", language=None)
        st.caption("Then start again, or name a run: auditor review RUN")
        return
    names = [path.name for path in runs]
    name = st.selectbox("Run", names)
    st.caption("It is opened for everybody who uses this server, until the server is restarted.")
    if st.button("Open", type="primary"):
        workspaces.choose(str(runs[names.index(name)]))
        st.rerun()
