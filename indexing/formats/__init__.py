"""Documents of other formats, each as the ninjs document that it becomes.

`indexing/ninjs.py` checks what comes out of here as it checks any other document.
"""
