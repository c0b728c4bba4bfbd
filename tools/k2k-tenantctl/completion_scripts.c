/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "completion_scripts.h"

#include <string.h>

/*
 * Readline splits words at = and at :. The script joins them for the program, and removes from each
 * candidate the part that readline already has.
 */
static const char bash[] =
	"# bash completion for k2k-tenantctl, by `k2k-tenantctl completion bash`\n"
	"_k2k_tenantctl()\n"
	"{\n"
	"\tlocal -a words lines\n"
	"\tlocal i word line joins= kept\n"
	"\tfor ((i = 1; i <= COMP_CWORD; i++)); do\n"
	"\t\tword=${COMP_WORDS[i]}\n"
	"\t\tif [[ $word == [=:]* && ${#words[@]} -gt 0 || -n $joins ]]; then\n"
	"\t\t\twords[${#words[@]} - 1]+=$word\n"
	"\t\telse\n"
	"\t\t\twords+=(\"$word\")\n"
	"\t\tfi\n"
	"\t\tjoins=\n"
	"\t\t[[ $word != *[!=:]* && -n $word ]] && joins=yes\n"
	"\tdone\n"
	"\tword=${COMP_WORDS[COMP_CWORD]}\n"
	"\t[[ $word == [=:]* ]] && word=\n"
	"\tkept=${words[${#words[@]} - 1]%\"$word\"}\n"
	"\tmapfile -t lines < <(\"$1\" completion words -- \"${words[@]//[\\\"\\']/}\" "
	"2>/dev/null)\n"
	"\tCOMPREPLY=()\n"
	"\tfor line in \"${lines[@]}\"; do\n"
	"\t\tif [[ $line == :files ]]; then\n"
	"\t\t\tcompopt -o filenames 2>/dev/null\n"
	"\t\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
	"\t\telse\n"
	"\t\t\tline=${line%%$'\\t'*}\n"
	"\t\t\tCOMPREPLY+=(\"${line#\"$kept\"}\")\n"
	"\t\tfi\n"
	"\tdone\n"
	"}\n"
	"# a tenant's name begins with @, where readline would begin another word, a host's name\n"
	"COMP_WORDBREAKS=${COMP_WORDBREAKS//@/}\n"
	"complete -o nosort -F _k2k_tenantctl k2k-tenantctl\n";

static const char zsh[] =
	"#compdef k2k-tenantctl\n"
	"# zsh completion for k2k-tenantctl, by `k2k-tenantctl completion zsh`\n"
	"_k2k-tenantctl()\n"
	"{\n"
	"\tlocal -a lines plain described\n"
	"\tlocal line files=\n"
	"\tlines=(\"${(@f)$(\"${(Q)words[1]}\" completion words -- \"${(@Q)words[2,CURRENT-1]}\" "
	"\"${(Q)PREFIX}\" 2>/dev/null)}\")\n"
	"\tfor line in \"${lines[@]}\"; do\n"
	"\t\tcase $line in\n"
	"\t\t'') ;;\n"
	"\t\t:files) files=yes ;;\n"
	"\t\t*$'\\t'*) described+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\") ;;\n"
	"\t\t*) plain+=(\"$line\") ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\t(($#described)) && _describe -V 'k2k-tenantctl' described\n"
	"\t(($#plain)) && compadd -V values -a -- plain\n"
	"\tif [[ -n $files ]]; then\n"
	"\t\tcompset -P '--*='\n"
	"\t\t_files\n"
	"\tfi\n"
	"}\n"
	"# if zsh loads it by name, complete at once; if it is sourced, register it\n"
	"if [[ ${funcstack[1]} == _k2k-tenantctl ]]; then\n"
	"\t_k2k-tenantctl \"$@\"\n"
	"else\n"
	"\tcompdef _k2k-tenantctl k2k-tenantctl\n"
	"fi\n";

static const char fish[] =
	"# fish completion for k2k-tenantctl, by `k2k-tenantctl completion fish`\n"
	"function __k2k_tenantctl_complete\n"
	"\tset -l words (commandline -opc)\n"
	"\tset -l current (commandline -ct)\n"
	"\ttest -n \"$current\"; or set current ''\n"
	"\tset -l tool $words[1]\n"
	"\tset -e words[1]\n"
	"\tfor line in (command $tool completion words -- $words $current 2>/dev/null)\n"
	"\t\tif test \"$line\" = :files\n"
	"\t\t\tset -l parts (string match -r -- '^(--[^=]*=)?(.*)$' $current)\n"
	"\t\t\tfor path in (__fish_complete_path $parts[-1])\n"
	"\t\t\t\tif test (count $parts) -gt 2\n"
	"\t\t\t\t\techo $parts[2]$path\n"
	"\t\t\t\telse\n"
	"\t\t\t\t\techo $path\n"
	"\t\t\t\tend\n"
	"\t\t\tend\n"
	"\t\telse\n"
	"\t\t\techo $line\n"
	"\t\tend\n"
	"\tend\n"
	"end\n"
	"complete -c k2k-tenantctl -f -k -a '(__k2k_tenantctl_complete)'\n";

const char *completion_script(const char *shell)
{
	return !strcmp(shell, "bash")   ? bash
	       : !strcmp(shell, "zsh")  ? zsh
	       : !strcmp(shell, "fish") ? fish
	                                : NULL;
}
