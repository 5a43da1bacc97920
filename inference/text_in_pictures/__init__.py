"""What is written in a picture? One model finds the lines of text, another one reads them.

picture ──> where is text? ──> boxes ──> each line upright ──> characters ──> SeenText
            (`finder`)         (`boxes`)  (`lines`)            (`letters`)    (`reader`)

Both models are PP-OCR's, as ONNX graphs; what comes before and after them is numpy and Pillow. The
package that the graphs come from has the same steps, but brings OpenCV, a second decoder of
pictures, and fetches files when it runs.
"""
