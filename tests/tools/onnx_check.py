"""Checks ONNX files with onnx.checker and its shape inference. Usage: onnx_check.py MODEL..."""
import sys

import onnx

for path in sys.argv[1:]:
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    print(path, model.opset_import[0].version, len(model.graph.node), len(inferred.graph.value_info))
