"""The steps of a job: actions, navigation, extraction."""
