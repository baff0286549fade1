"""JavaScript actions and task scripts: they run in a separate browser and reach a page only by checked calls."""
