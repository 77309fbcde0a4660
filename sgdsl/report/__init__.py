"""A trained run as one web page that opens offline: report.html of a run folder."""
