# An argument's form, by the layer's schema.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[2, 9, 8]
conv(x, 1, kernel=1, weight=[a, 2])
conv(3, kernel=x, padding=(1, 2, 3))
conv(2.5, kernel=1, bias=1)

# CHECK:{{.*}}argument_form.dsl:6:30: error: conv: weight: expected numbers and lists alone, found 'a'
# CHECK-NEXT:conv(x, 1, kernel=1, weight=[a, 2])
# CHECK-NEXT:                             ^
# CHECK-NEXT:{{.*}}argument_form.dsl:7:16: error: conv: kernel: expected a number or (height, width), found 'x'
# CHECK-NEXT:conv(3, kernel=x, padding=(1, 2, 3))
# CHECK-NEXT:               ^
# CHECK-NEXT:{{.*}}argument_form.dsl:7:27: error: conv: padding: expected a number, (height, width), (top, bottom, left, right) or same, found '(1, 2, 3)'
# CHECK-NEXT:conv(3, kernel=x, padding=(1, 2, 3))
# CHECK-NEXT:                          ^~~~~~~~~
# CHECK-NEXT:{{.*}}argument_form.dsl:8:6: error: conv: channels: expected a whole number, found '2.5'
# CHECK-NEXT:conv(2.5, kernel=1, bias=1)
# CHECK-NEXT:     ^~~
# CHECK-NEXT:{{.*}}argument_form.dsl:8:26: error: conv: bias: expected true or false, found '1'
# CHECK-NEXT:conv(2.5, kernel=1, bias=1)
# CHECK-NEXT:                         ^
# CHECK-NOT:{{.+}}
