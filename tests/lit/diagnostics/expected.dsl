# The parser names what it expected and what it found.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x f32[4]
dense(2,, 3)
y = 3
batch = 5
relu(x) tanh

# CHECK:{{.*}}expected.dsl:5:9: error: expected ':' and a type, found 'f32'
# CHECK-NEXT:input x f32[4]
# CHECK-NEXT:        ^~~
# CHECK-NEXT:{{.*}}expected.dsl:6:9: error: expected a value, found ','
# CHECK-NEXT:dense(2,, 3)
# CHECK-NEXT:        ^
# CHECK-NEXT:{{.*}}expected.dsl:7:5: error: expected a layer, found '3'
# CHECK-NEXT:y = 3
# CHECK-NEXT:    ^
# CHECK-NEXT:{{.*}}expected.dsl:8:7: error: expected a number, found '='
# CHECK-NEXT:batch = 5
# CHECK-NEXT:      ^
# CHECK-NEXT:{{.*}}expected.dsl:9:9: error: expected the end of the line, found 'tanh'
# CHECK-NEXT:relu(x) tanh
# CHECK-NEXT:        ^~~~
# CHECK-NOT:{{.+}}
