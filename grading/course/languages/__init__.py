"""The course in other languages: its words by paragraph, their catalogues, and what is said in them.

`prose` finds the words of a lab, `spoken` what the checks and the commands say, `catalogue` keeps
`locale/<language>/*.po` in step with both, and `rules` says what is wrong with a translation.
"""
