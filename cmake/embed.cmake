# Puts files into the compiler's own program: the hooks and the dispatcher of a generated library as LLVM bitcode for
# each architecture, the hooks as text for the C++ output, and the text of cnnc_model.h.
# compiler/codegen/embedded.cpp gives them out.
enable_language(ASM)
find_program(CLANG_14 NAMES clang-14 REQUIRED)

# Makes the static library `target`.
function(cnnc_embed target)
  set(folder ${CMAKE_BINARY_DIR}/embedded)
  file(MAKE_DIRECTORY ${folder})
  set(hooks ${CMAKE_SOURCE_DIR}/runtime/hooks)
  file(GLOB hook_files CONFIGURE_DEPENDS ${hooks}/*)
  set(model_header ${CMAKE_SOURCE_DIR}/runtime/cnnc_model.h)
  # The same bytes wherever it is built: a relative name, no debug information, no name of the compiler.
  set(flags -O2 -std=gnu99 -emit-llvm -c -fPIC -g0 -fno-ident -fno-slp-vectorize -fno-unroll-loops)
  set(x86 --target=x86_64-unknown-linux-gnu)
  # The headers of other machines are not at hand: the hooks say themselves what they use of the C library.
  set(elsewhere -ffreestanding -DCNNC_NO_SYSTEM_HEADERS)
  set(arm --target=aarch64-unknown-linux-gnu ${elsewhere})
  set(riscv --target=riscv64-unknown-linux-gnu -march=rv64gc -mabi=lp64d ${elsewhere})
  set(files "")
  foreach(arch x86 arm riscv)
    foreach(kind f32 f64 dispatch)
      set(source hooks.c)
      set(real float)
      if(kind STREQUAL f64)
        set(real double)
      elseif(kind STREQUAL dispatch)
        set(source dispatch.c)
      endif()
      set(file ${folder}/${kind}_${arch}.bc)
      add_custom_command(
        OUTPUT ${file}
        COMMAND ${CLANG_14} ${${arch}} ${flags} -DCNNC_REAL=${real} ${source} -o ${file}
        WORKING_DIRECTORY ${hooks}
        DEPENDS ${hook_files} ${model_header}
        COMMENT "Compiling ${source} (${kind}, ${arch}) to bitcode"
        VERBATIM)
      list(APPEND files "${kind}_${arch}=${file}")
    endforeach()
  endforeach()
  set(bitcode "")
  foreach(entry ${files})
    string(REGEX REPLACE "^[^=]*=" "" file "${entry}")
    list(APPEND bitcode ${file})
  endforeach()
  list(APPEND files "model_header=${model_header}")
  foreach(name hooks_h hooks_c cpu_c random_c threads_c checkpoint_c)
    string(REGEX REPLACE "_(.)$" ".\\1" file ${name})
    list(APPEND files "text_${name}=${hooks}/${file}")
  endforeach()
  set(text "    .section .rodata\n")
  foreach(entry ${files})
    string(REGEX MATCH "^([a-z0-9_]+)=(.*)$" entry "${entry}")
    set(name cnnc_embedded_${CMAKE_MATCH_1})
    string(APPEND text "    .balign 16\n    .globl ${name}_begin\n${name}_begin:\n    .incbin \"${CMAKE_MATCH_2}\"\n"
                       "    .globl ${name}_end\n${name}_end:\n    .byte 0\n")
  endforeach()
  string(APPEND text "    .section .note.GNU-stack,\"\",%progbits\n")
  file(CONFIGURE OUTPUT ${folder}/embedded.s CONTENT "${text}" @ONLY)
  set_source_files_properties(${folder}/embedded.s PROPERTIES OBJECT_DEPENDS "${bitcode};${model_header};${hook_files}")
  add_library(${target} STATIC ${folder}/embedded.s ${bitcode})
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX)
endfunction()
