"""Headgate: the download edge and upgrade orchestrator for NB-IoT fleets."""
