"""The course in other languages: its words by paragraph, their catalogues, and what is said.

`prose` finds the words of a lab, `spoken` what the checks and the commands say, `catalogue` keeps
`locale/<language>/*.po` in step with both, `rules` says what is wrong with a translation, and
`speech` says a message in a language.
"""
