# An unknown layer, alone or inside another, with the near miss.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[2, 9, 8]
conf(6, kernel=5)
MaxPool2d(2)
relu(sigmoit(x))
batch_norm

# CHECK:{{.*}}unknown_layer.dsl:6:1: error: unknown layer 'conf'; did you mean 'conv'?
# CHECK-NEXT:conf(6, kernel=5)
# CHECK-NEXT:^~~~
# CHECK-NEXT:{{.*}}unknown_layer.dsl:7:1: error: unknown layer 'MaxPool2d'; did you mean 'max_pool'?
# CHECK-NEXT:MaxPool2d(2)
# CHECK-NEXT:^~~~~~~~~
# CHECK-NEXT:{{.*}}unknown_layer.dsl:8:6: error: unknown layer 'sigmoit'; did you mean 'sigmoid'?
# CHECK-NEXT:relu(sigmoit(x))
# CHECK-NEXT:     ^~~~~~~
# CHECK-NEXT:{{.*}}unknown_layer.dsl:9:1: error: unknown layer 'batch_norm'
# CHECK-NEXT:batch_norm
# CHECK-NEXT:^~~~~~~~~~
# CHECK-NOT:{{.+}}
