# SPDX-License-Identifier: LGPL-2.1-or-later
# The protocols as Promela models. A model that was changed is searched completely (model/run).
file(GLOB models CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/model/*.pml)
foreach(model IN LISTS models)
  get_filename_component(name ${model} NAME_WE)
  add_test(NAME model_${name} COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/model/run --changed ${model})
  set_tests_properties(model_${name} PROPERTIES LABELS model TIMEOUT 900 SKIP_RETURN_CODE 77)
endforeach()
