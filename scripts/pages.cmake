# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes manual pages and completion scripts with everything else. Packages contain compressed pages, as Debian asks.
find_program(SCDOC scdoc)
if(NOT SCDOC)
  message(FATAL_ERROR "scdoc is needed for the manual pages; without them: -DK2K_PAGES=OFF")
endif()
find_package(Python3 REQUIRED COMPONENTS Interpreter)

set(here ${CMAKE_CURRENT_LIST_DIR})
set(made ${PROJECT_BINARY_DIR}/pages)
set(make_pages ${here}/make-pages)
if(K2K_PACKAGE)
  list(APPEND make_pages --gzip)
endif()
list(APPEND make_pages ${PROJECT_SOURCE_DIR} ${PROJECT_VERSION})

# ---- of the library, from its header
set(header ${PROJECT_BINARY_DIR}/registry-whole.h)
add_custom_command(OUTPUT ${made}/library.done
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${made}/library-sources
  COMMAND ${CMAKE_COMMAND} -E make_directory ${made}/library-sources
  COMMAND ${Python3_EXECUTABLE} ${here}/header-pages ${header} ${made}/library-sources
  COMMAND bash -c "\"$@\" ${made}/library-sources/*.scd ${made}/library-sources/links" bash ${make_pages} ${made}/library
  COMMAND ${CMAKE_COMMAND} -E touch ${made}/library.done
  DEPENDS ${header} ${here}/header-pages ${here}/make-pages ${here}/packaging/debian/changelog.in
  COMMENT "Manual pages of the library" VERBATIM)
add_custom_target(library-pages ALL DEPENDS ${made}/library.done)
install(DIRECTORY ${made}/library/ DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT dev)

if(NOT K2K_TOOLS)
  return()
endif()

# ---- of the tools: k2k-tenantctl's by a program that has its table of commands, the others by hand
set(ctl ${PROJECT_SOURCE_DIR}/tools/k2k-tenantctl)
add_executable(k2k-tenantctl-pages ${ctl}/manual_pages.c ${ctl}/command_table.c ${ctl}/command_texts.c ${ctl}/columns.c ${ctl}/completion_scripts.c)
target_compile_definitions(k2k-tenantctl-pages PRIVATE K2K_TABLE_ALONE)
target_include_directories(k2k-tenantctl-pages PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/tools)

set(written)
set(programs)
set(completed) # from the page
foreach(tool IN ITEMS k2k-broker.1 k2k-bench.1 k2k-auditd.8 k2k-exporter.8 k2k-fleetctl.1 k2k-fleetd.8)
  string(REGEX REPLACE "\\..*" "" program ${tool})
  if(TARGET ${program})
    list(APPEND written ${PROJECT_SOURCE_DIR}/tools/${program}/${tool}.scd)
    list(APPEND programs ${program})
    if(NOT program STREQUAL "k2k-fleetctl")
      list(APPEND completed ${PROJECT_SOURCE_DIR}/tools/${program}/${tool}.scd)
    endif()
  endif()
endforeach()
add_custom_command(OUTPUT ${made}/tools.done
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${made}/tools-sources
  COMMAND ${CMAKE_COMMAND} -E make_directory ${made}/tools-sources
  COMMAND k2k-tenantctl-pages ${made}/tools-sources ${PROJECT_VERSION}
  COMMAND bash -c "\"$@\" ${made}/tools-sources/*.scd" bash ${make_pages} ${made}/tools ${written}
  COMMAND ${Python3_EXECUTABLE} ${here}/make-completion ${made}/tools-sources ${completed}
  COMMAND ${CMAKE_COMMAND} -E touch ${made}/tools.done
  DEPENDS k2k-tenantctl-pages ${written} ${here}/make-pages ${here}/make-completion ${here}/packaging/debian/changelog.in
  COMMENT "Manual pages of the tools" VERBATIM)
add_custom_target(tools-pages ALL DEPENDS ${made}/tools.done)
install(DIRECTORY ${made}/tools/ DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT tools PATTERN "k2k-fleet*" EXCLUDE)
install(DIRECTORY ${made}/tools/ DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT fleet FILES_MATCHING PATTERN "k2k-fleet*")

# ---- completion: k2k-tenantctl and k2k-fleetctl print their own, the others' is made from their pages. Installed where each
# shell looks; Debian's zsh has a folder for packages
set(functions site-functions)
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(functions vendor-completions)
endif()
foreach(program IN ITEMS k2k-tenantctl ${programs})
  set(component tools)
  if(program MATCHES "^k2k-fleet")
    set(component fleet)
  endif()
  install(FILES ${made}/tools-sources/${program}.bash RENAME ${program}
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT ${component})
  install(FILES ${made}/tools-sources/_${program} DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/${functions}
    COMPONENT ${component})
  install(FILES ${made}/tools-sources/${program}.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d
    COMPONENT ${component})
endforeach()
