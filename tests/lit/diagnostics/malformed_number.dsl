# A number ends where it should.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[4]
dense(0x10)
dense(1.2.3)

# CHECK:{{.*}}malformed_number.dsl:6:7: error: malformed number '0x10'
# CHECK-NEXT:dense(0x10)
# CHECK-NEXT:      ^~~~
# CHECK-NEXT:{{.*}}malformed_number.dsl:7:7: error: malformed number '1.2.3'
# CHECK-NEXT:dense(1.2.3)
# CHECK-NEXT:      ^~~~~
# CHECK-NOT:{{.+}}
