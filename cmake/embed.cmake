# Puts files into the compiler's own program: the hooks of a generated library as LLVM bitcode, once for float and
# once for double, and the text of cnnc_model.h. compiler/codegen/embedded.cpp gives them out.
enable_language(ASM)
find_program(CLANG_14 NAMES clang-14 REQUIRED)

# Makes the static library `target`.
function(cnnc_embed target)
  set(folder ${CMAKE_BINARY_DIR}/embedded)
  file(MAKE_DIRECTORY ${folder})
  file(GLOB hook_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/runtime/hooks/*)
  set(model_header ${CMAKE_SOURCE_DIR}/runtime/cnnc_model.h)
  set(hooks ${CMAKE_SOURCE_DIR}/runtime/hooks)
  # The same bytes wherever it is built: a relative name, no debug information, no name of the compiler. Loops stay
  # as they are, since the library's own optimisation comes later.
  set(flags -O2 -std=c99 -emit-llvm -c -fPIC -g0 -fno-ident -fno-vectorize -fno-slp-vectorize -fno-unroll-loops)
  foreach(kind f32 f64)
    set(real float)
    if(kind STREQUAL f64)
      set(real double)
    endif()
    add_custom_command(
      OUTPUT ${folder}/hooks_${kind}.bc
      COMMAND ${CLANG_14} ${flags} -DCNNC_REAL=${real} hooks.c -o ${folder}/hooks_${kind}.bc
      WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}/runtime/hooks
      DEPENDS ${hook_files} ${model_header}
      COMMENT "Compiling the hooks (${real}) to bitcode"
      VERBATIM)
  endforeach()
  set(text "    .section .rodata\n")
  foreach(entry "hooks_f32=${folder}/hooks_f32.bc" "hooks_f64=${folder}/hooks_f64.bc" "model_header=${model_header}"
          "text_hooks_h=${hooks}/hooks.h" "text_hooks_c=${hooks}/hooks.c" "text_random_c=${hooks}/random.c"
          "text_threads_c=${hooks}/threads.c" "text_checkpoint_c=${hooks}/checkpoint.c")
    string(REGEX MATCH "^([a-z0-9_]+)=(.*)$" entry "${entry}")
    set(name cnnc_embedded_${CMAKE_MATCH_1})
    string(APPEND text "    .balign 16\n    .globl ${name}_begin\n${name}_begin:\n    .incbin \"${CMAKE_MATCH_2}\"\n"
                       "    .globl ${name}_end\n${name}_end:\n    .byte 0\n")
  endforeach()
  string(APPEND text "    .section .note.GNU-stack,\"\",%progbits\n")
  file(CONFIGURE OUTPUT ${folder}/embedded.s CONTENT "${text}" @ONLY)
  set_source_files_properties(${folder}/embedded.s PROPERTIES OBJECT_DEPENDS
                              "${folder}/hooks_f32.bc;${folder}/hooks_f64.bc;${model_header};${hook_files}")
  add_library(${target} STATIC ${folder}/embedded.s ${folder}/hooks_f32.bc ${folder}/hooks_f64.bc)
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX)
endfunction()
