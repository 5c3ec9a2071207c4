"""LeNet in ONNX Runtime, for tools/bench: the commands `predict` and `outputs` of driver.c, with the same data and parameters.

    onnx_worker.py sigmoid-average|relu-max THREADS IMAGES PARAMETERS DESCRIPTION COUNT

It has one command more, `empty CALLS`: the time of a call of a model that only copies ten floats. ONNX Runtime's package is for
Python alone, and so much of a call's time is not the network's.
"""
import json
import sys
import time

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

WARM_UP = 5  # as in driver.c


def lenet(kind, parameters, description, batch):
    activation, pool = {"sigmoid-average": ("Sigmoid", "AveragePool"), "relu-max": ("Relu", "MaxPool")}[kind]
    flat = numpy.fromfile(parameters, dtype=numpy.float32)
    weights = []
    for t in json.load(open(description))["parameters"]:
        size = int(numpy.prod(t["shape"]))
        weights.append(numpy_helper.from_array(flat[t["offset"]:t["offset"] + size].reshape(t["shape"]), t["name"]))
    nodes, value = [], "image"

    def add(op, *inputs, **attributes):
        nonlocal value
        output = f"v{len(nodes)}"
        nodes.append(helper.make_node(op, [value, *inputs], [output], **attributes))
        value = output

    for layer, padding in (("conv1", 2), ("conv2", 0)):
        add("Conv", f"{layer}.weight", f"{layer}.bias", kernel_shape=[5, 5], pads=[padding] * 4)
        add(activation)
        add(pool, kernel_shape=[2, 2], strides=[2, 2])
    add("Flatten")
    for layer in ("dense1", "dense2", "dense3"):
        add("Gemm", f"{layer}.weight", f"{layer}.bias", transB=1)
        if layer != "dense3":
            add(activation)
    return model(nodes, [batch, 1, 28, 28], [batch, 10], value, weights)


def model(nodes, input_shape, output_shape, output, weights=()):
    graph = helper.make_graph(nodes, "model", [helper.make_tensor_value_info("image", TensorProto.FLOAT, input_shape)],
                              [helper.make_tensor_value_info(output, TensorProto.FLOAT, output_shape)], list(weights))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    onnx.checker.check_model(made)
    return made


class Session:
    """A model with its inputs and outputs bound beforehand, so that a call does as little as it can."""

    def __init__(self, made, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
        out = self.session.get_outputs()[0]
        self.name, self.output = out.name, onnxruntime.OrtValue.ortvalue_from_numpy(numpy.zeros(out.shape, dtype=numpy.float32))

    def bind(self, array):
        binding = self.session.io_binding()
        binding.bind_ortvalue_input("image", onnxruntime.OrtValue.ortvalue_from_numpy(array))
        binding.bind_ortvalue_output(self.name, self.output)
        return binding

    def seconds(self, arrays, calls):
        bindings = [self.bind(a) for a in arrays]
        run = self.session.run_with_iobinding
        for i in range(-WARM_UP, calls):
            if i == 0:
                start = time.perf_counter()
            run(bindings[(i + WARM_UP) % len(bindings)])
        return time.perf_counter() - start


def main():
    kind, threads, images, parameters, description, count = sys.argv[1:]
    count, threads = int(count), int(threads)
    x = numpy.fromfile(images, dtype=numpy.float32)[:count * 784].reshape(count, 1, 28, 28)
    sessions = {}

    def session(batch):
        if batch not in sessions:
            sessions[batch] = Session(lenet(kind, parameters, description, batch), threads)
        return sessions[batch]

    print(json.dumps({"version": onnxruntime.__version__}), flush=True)
    for line in sys.stdin:
        command, *rest = line.split(None, 2 if line.startswith("outputs") else -1)
        answer = {}
        if command == "predict":
            batch, calls, pool = map(int, rest)
            arrays = [x[at:at + batch] for at in range(0, pool - batch + 1, batch)]
            answer["seconds"] = session(batch).seconds(arrays, calls)
        elif command == "outputs":
            batch = int(rest[0])
            s = session(batch)
            s.session.run_with_iobinding(s.bind(x[:batch]))
            s.output.numpy().tofile(rest[1].strip())
        elif command == "empty":
            empty = Session(model([helper.make_node("Identity", ["image"], ["copy"])], [1, 10], [1, 10], "copy"), threads)
            answer["seconds"] = empty.seconds([numpy.zeros((1, 10), dtype=numpy.float32)], int(rest[0]))
        print(json.dumps(answer), flush=True)


main()
