"""How does a portable graph become the form that a runtime loads fastest on this machine?

A model's folder has the portable graph, which is the file of record. A form of it for one runtime
and one instruction set is made once (`forms`) and kept (`kept_forms`); later loads read the form
and change nothing. No form changes a number in the answers.
"""
