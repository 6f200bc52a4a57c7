"""The review app of a checkout: ``AUDITOR_RUN=runs/NAME streamlit run app.py``. Elsewhere: ``auditor review RUN``."""

import streamlit as st

from auditor.ui import SCRIPT, lifespan, middleware, routes

# Streamlit finds the app by reading this file: the call must stand here literally.
app = st.App(SCRIPT, routes=routes(), middleware=middleware(), lifespan=lifespan)
