"""Writes ONNX models as exporters write them, to be read by tests. Usage: onnx_make.py DIR

Prints a line a model: its name, the size of its image as the file has it, a tolerance.
"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

rng = np.random.RandomState(7)


def weights(*dims):
    fan = np.prod(dims[1:]) if len(dims) > 1 else 4
    return (rng.randn(*dims) / np.sqrt(fan)).astype(np.float32)


class Model:
    """Nodes one behind the other: each call reads the last value unless told otherwise."""

    def __init__(self, name, dims, opset=13, tolerance=1e-4):
        self.name, self.dims, self.opset, self.tolerance = name, dims, opset, tolerance
        self.nodes, self.inits, self.last, self.count = [], [], "x", 0

    def init(self, array, name=None, raw=True):
        name = name or "w%d" % len(self.inits)
        array = np.asarray(array)
        if raw:
            self.inits.append(numpy_helper.from_array(array, name))
        else:
            kind = helper.np_dtype_to_tensor_dtype(array.dtype) if hasattr(
                helper, "np_dtype_to_tensor_dtype") else onnx.mapping.NP_TYPE_TO_TENSOR_TYPE[array.dtype]
            self.inits.append(helper.make_tensor(name, kind, array.shape, array.ravel().tolist()))
        return name

    def op(self, kind, *inputs, outputs=1, **attributes):
        self.count += 1
        names = ["v%d_%d" % (self.count, i) for i in range(outputs)]
        inputs = [self.last if i is None else i for i in (inputs or (None,))]
        self.nodes.append(helper.make_node(kind, inputs, names, name="/%s_%d" % (kind, self.count), **attributes))
        self.last = names[0]
        return self.last

    def const(self, array):
        """A Constant node."""
        last = self.last
        name = self.op("Constant", value=numpy_helper.from_array(np.asarray(array)))
        self.nodes[-1].ClearField("input")
        self.last = last
        return name

    def conv(self, k, c, r=3, s=None, bias=True, groups=1, x=None, **attributes):
        s = r if s is None else s
        parts = [x, self.init(weights(k, c // groups, r, s))]
        if bias:
            parts.append(self.init(weights(k)))
        if "pads" not in attributes and "auto_pad" not in attributes:
            attributes["pads"] = [r // 2, s // 2, r // 2, s // 2]
        return self.op("Conv", *parts, group=groups, kernel_shape=[r, s], **attributes)

    def bn(self, k, x=None):
        return self.op("BatchNormalization", x, self.init(rng.rand(k).astype(np.float32) + 0.5),
                       self.init(weights(k)), self.init(weights(k)),
                       self.init(rng.rand(k).astype(np.float32) + 0.5), epsilon=1e-3)

    def gemm(self, k, c, **attributes):
        return self.op("Gemm", None, self.init(weights(k, c)), self.init(weights(k)), transB=1, **attributes)

    def save(self, folder, external=False, check=True):
        output_dims = [None, None] if self.opset > 17 else value_dims(self, self.dims)
        graph = helper.make_graph(
            self.nodes, self.name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.dims)],
            [helper.make_tensor_value_info(self.last, TensorProto.FLOAT, output_dims)], self.inits)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], producer_name="pytorch")
        model.ir_version = 7
        if check:
            onnx.checker.check_model(model)
        path = "%s/%s.onnx" % (folder, self.name)
        if external:
            onnx.save(model, path, save_as_external_data=True, location=self.name + ".data", size_threshold=0)
        else:
            onnx.save(model, path)
        sizes = [1 if isinstance(d, str) else d for d in self.dims]
        print(self.name, *sizes[1:], self.tolerance)


def value_dims(m, dims):
    """Of the last value, by ONNX's own inference; 0: open."""
    graph = helper.make_graph(m.nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
                              [helper.make_tensor_value_info(m.last, TensorProto.FLOAT, None)], m.inits)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", m.opset)])
    inferred = onnx.shape_inference.infer_shapes(model)
    shape = inferred.graph.output[0].type.tensor_type.shape
    return [d.dim_value or None for d in shape.dim]


def lenet(name, external=False):
    m = Model(name, ["batch", 1, 28, 28], opset=11)
    m.conv(6, 1, 5)
    m.op("Relu")
    m.op("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    m.conv(16, 6, 5, pads=[0, 0, 0, 0])
    m.op("Relu")
    m.op("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    m.op("Flatten", axis=1)
    m.gemm(120, 400)
    m.op("Relu")
    m.op("Dropout", ratio=0.5)
    m.gemm(10, 120)
    m.save(folder, external)


def residual():
    m = Model("residual", ["batch", 3, 12, 10])
    m.conv(8, 3, bias=False)
    m.bn(8)
    x = m.op("Relu")
    m.conv(16, 8, bias=False, strides=[2, 2])
    m.bn(16)
    m.op("Relu")
    m.conv(16, 16, bias=False)
    branch = m.bn(16)
    m.conv(16, 8, 1, bias=False, x=x, strides=[2, 2])
    shortcut = m.bn(16)
    m.op("Add", branch, shortcut)
    m.op("Relu")
    m.op("GlobalAveragePool")
    m.op("Flatten")
    m.gemm(5, 16)
    m.save(folder)


def mobile():
    m = Model("mobile", ["N", 3, 12, 10], opset=18)
    m.conv(8, 3, bias=False, strides=[2, 2])
    m.bn(8)
    m.op("Clip", None, m.const(np.float32(0)), m.const(np.float32(6)))
    m.conv(8, 8, bias=False, groups=8)
    m.bn(8)
    m.op("Clip", None, m.const(np.float32(0)), m.const(np.float32(6)))
    m.conv(12, 8, 1)
    m.op("Identity")
    m.op("ReduceMean", None, m.init(np.array([2, 3])), keepdims=0)
    m.op("MatMul", None, m.init(weights(12, 4)))
    m.op("Add", m.init(weights(4)), None)
    m.save(folder, check=False)


def old_reshape():
    m = Model("old_reshape", ["batch", 2, 8, 6], opset=9)
    m.conv(5, 2)
    m.op("Clip", min=0.0, max=6.0)
    feature = m.op("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    m.op("Shape")
    size = m.op("Gather", None, m.const(np.int64(0)), axis=0)
    n = m.op("Unsqueeze", size, axes=[0])
    rest = m.op("Unsqueeze", m.const(np.int64(-1)), axes=[0])
    shape = m.op("Concat", n, rest, axis=0)
    m.op("Reshape", feature, shape)
    m.gemm(4, 60, alpha=0.5, beta=2.0)
    m.save(folder)


def hard_swish():
    m = Model("hard_swish", [1, 3, 8, 8], opset=14)
    m.conv(6, 3)
    m.op("HardSwish")
    x = m.conv(6, 6)
    m.op("HardSigmoid", alpha=1 / 6, beta=0.5)
    m.op("Mul", x, None)
    x = m.conv(6, 6, groups=6)
    m.op("Add", None, m.const(np.float32(3)))
    m.op("Clip", None, m.init(np.float32(0)), m.init(np.float32(6)))
    m.op("Mul", None, x)
    m.op("Div", None, m.const(np.float32(6)))
    x = m.conv(6, 6, 1)
    m.op("Add", None, m.const(np.float32(3)))
    m.op("Clip", None, m.init(np.float32(0)), m.init(np.float32(6)))
    m.op("Div", None, m.const(np.float32(6)))
    m.op("Mul", x, None)
    m.op("GlobalMaxPool")
    m.op("Reshape", None, m.init(np.array([0, -1])))
    m.gemm(3, 6)
    m.save(folder)


def tensorflow():
    m = Model("tensorflow", ["unk__1", 12, 11, 3])
    m.op("Sub", None, m.init(np.array([0.1, 0.2, 0.3], np.float32)))
    m.op("Transpose", perm=[0, 3, 1, 2])
    m.conv(8, 3, pads=[0, 0, 1, 1], strides=[2, 2])
    m.op("Relu")
    m.conv(8, 8, auto_pad="SAME_UPPER", groups=8, strides=[2, 2])
    m.conv(8, 8, 4, auto_pad="SAME_LOWER")
    m.op("Relu")
    m.op("Transpose", perm=[0, 2, 3, 1])
    m.op("MatMul", None, m.init(weights(8, 5)))  # of pixels
    m.op("Reshape", None, m.init(np.array([-1, 45])))
    m.op("MatMul", None, m.init(weights(45, 4)))
    m.op("Add", None, m.init(weights(4)))
    m.save(folder)


def pads():
    m = Model("pads", [1, 3, 9, 8])
    m.op("Pad", None, m.init(np.array([0, 0, 2, 1, 0, 0, 1, 3])), m.init(np.float32(0)))
    m.conv(4, 3, pads=[0, 0, 0, 0], strides=[2, 2])
    m.op("Relu")
    m.op("Pad", None, m.init(np.array([0, 0, 1, 1, 0, 0, 0, 2])))
    m.op("MaxPool", kernel_shape=[3, 3], strides=[1, 1])
    m.conv(4, 4, 1)
    m.op("Pad", None, m.init(np.array([0, 0, 1, 0, 0, 0, 1, 2])), m.init(np.float32(0)))
    m.bn(4)  # of the border too
    m.op("Pad", None, m.init(np.array([0, 0, 1, 1, 0, 0, 1, 1])), m.init(np.float32(0)))
    m.op("MaxPool", kernel_shape=[3, 3], strides=[2, 2])  # zeros win over what is negative
    m.op("Pad", None, m.init(np.array([0, 0, 1, 1, 0, 0, 1, 1])))
    m.op("AveragePool", kernel_shape=[3, 3], strides=[1, 1])
    m.conv(4, 4, 3, pads=[2, 0, 1, 1])
    m.op("Flatten")
    m.gemm(3, value_dims(m, m.dims)[1])
    m.save(folder)


def windows():
    m = Model("windows", [1, 4, 13, 11])
    m.conv(6, 4, 3, dilations=[2, 2], pads=[2, 2, 2, 2], groups=2)
    m.op("Relu")
    m.conv(6, 6, 1, 7, pads=[0, 3, 0, 3])
    m.conv(6, 6, 3, dilations=[1, 3], pads=[1, 2, 0, 4])
    m.op("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    m.op("AveragePool", kernel_shape=[3, 2], strides=[1, 1], pads=[1, 1, 1, 1], count_include_pad=1)
    m.op("MaxPool", kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER")
    m.op("Flatten")
    m.gemm(3, value_dims(m, m.dims)[1])
    m.save(folder)


def shuffle():
    m = Model("shuffle", ["batch", 6, 6, 5])
    x = m.conv(12, 6, 1, groups=3)
    m.op("Reshape", None, m.init(np.array([-1, 3, 4, 6, 5])))
    m.op("Transpose", perm=[0, 2, 1, 3, 4])
    m.op("Reshape", None, m.init(np.array([-1, 12, 6, 5])))
    y = m.conv(12, 12, groups=12)
    z = m.op("Concat", x, y, axis=1)
    m.op("Sum", z, z, z)
    m.op("ReduceMean", None, axes=[2, 3], keepdims=1)
    m.op("Squeeze", None, m.init(np.array([2, 3])))
    m.gemm(3, 24)
    m.save(folder)


def option_a():
    m = Model("option_a", ["batch", 3, 8, 8], opset=12)
    m.conv(4, 3)
    x = m.op("Relu")
    m.conv(8, 4, strides=[2, 2])
    branch = m.op("Relu")
    m.last = x
    m.op("Slice", None, m.const(np.array([0, 0])), m.const(np.array([2**63 - 1, 2**63 - 1])),
         m.const(np.array([2, 3])), m.const(np.array([2, 2])))
    m.op("Pad", None, m.const(np.array([0, 2, 0, 0, 0, 2, 0, 0])), m.const(np.float32(0)))
    m.op("Add", branch, None)
    x = m.conv(8, 8, strides=[2, 2])
    m.op("Slice", m.nodes[-2].output[0], m.const(np.array([0])), m.const(np.array([2**63 - 1])),
         m.const(np.array([3])), m.const(np.array([2])))
    m.op("Slice", None, m.const(np.array([0])), m.const(np.array([2**63 - 1])),
         m.const(np.array([2])), m.const(np.array([2])))
    m.op("Add", x, None)
    m.op("MaxPool", kernel_shape=[1, 1], strides=[2, 2])
    m.op("Concat", None, m.init(np.zeros((1, 8, 1, 1), np.float32)), axis=1)
    m.op("GlobalAveragePool")
    m.op("Flatten")
    m.gemm(3, 16)
    m.save(folder)


def before_activation():
    m = Model("before_activation", ["batch", 3, 8, 8])
    x = m.conv(6, 3)
    m.bn(6)
    m.op("Relu")
    y = m.conv(6, 6)
    x = m.op("Add", x, y)
    m.bn(6)
    a = m.op("Relu")
    m.op("Relu", x)
    m.op("Concat", None, a, x, axis=-3)
    m.conv(3, 18, 1)
    m.op("AveragePool", kernel_shape=[8, 8])
    m.op("Flatten")
    m.op("Mul", None, m.const(np.float32(0.3)))
    m.op("Softmax", axis=1)
    m.save(folder)


def signal():
    m = Model("signal", [1, 3, 40], opset=15)
    m.op("Conv", None, m.init(weights(6, 3, 5)), m.init(weights(6)), pads=[2, 2], strides=[2], kernel_shape=[5])
    m.op("Relu")
    m.op("MaxPool", kernel_shape=[2], strides=[2])
    m.op("Conv", None, m.init(weights(8, 6, 3)), pads=[1, 0], dilations=[2], kernel_shape=[3])
    m.op("Relu")
    m.op("GlobalAveragePool")
    m.op("Flatten")
    m.gemm(3, 8)
    m.save(folder)


def kinds_of_weights():
    m = Model("kinds_of_weights", [1, 20], opset=13, tolerance=2e-3)
    half = m.op("Cast", m.init(weights(20, 12).astype(np.float16)), to=TensorProto.FLOAT)
    m.op("MatMul", "x", half)
    m.op("Relu")
    last = m.last
    turned = m.op("Transpose", m.init(weights(9, 12), raw=False), perm=[1, 0])
    m.op("MatMul", last, turned)
    last = m.last
    bias = m.op("Mul", m.const(weights(9)), m.const(np.float32(2)))
    m.op("Sub", last, bias)
    last = m.last
    q = rng.randint(-127, 128, (9, 5)).astype(np.int8)
    d = m.op("DequantizeLinear", m.init(q, raw=False), m.init((rng.rand(5) / 100).astype(np.float32)),
             m.init(np.zeros(5, np.int8)), axis=1)
    m.op("MatMul", last, d)
    m.save(folder)


def quantized():
    m = Model("quantized", ["batch", 3, 8, 8], tolerance=0.08)
    zero, scale = m.init(np.uint8(0)), m.init(np.float32(0.02))
    signed, wide = m.init(np.int8(0)), m.init(np.float32(0.03))

    def through(s, z):
        m.op("QuantizeLinear", None, s, z)
        m.op("DequantizeLinear", None, s, z)

    through(wide, signed)
    last = m.last
    w = m.op("DequantizeLinear", m.init(rng.randint(-60, 60, (8, 3, 3, 3)).astype(np.int8)),
             m.init((rng.rand(8) / 100 + 0.001).astype(np.float32)), m.init(np.zeros(8, np.int8)), axis=0)
    m.op("Conv", last, w, m.init(weights(8)), pads=[1, 1, 1, 1])
    through(scale, zero)  # the ReLU is in the range
    m.op("GlobalAveragePool")
    m.op("Flatten")
    through(scale, zero)
    m.gemm(4, 8)
    through(wide, signed)
    m.save(folder)


folder = sys.argv[1]
lenet("lenet")
residual()
mobile()
old_reshape()
hard_swish()
tensorflow()
pads()
windows()
shuffle()
option_a()
before_activation()
signal()
kinds_of_weights()
quantized()
lenet("external", external=True)
