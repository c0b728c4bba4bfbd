/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "completion_scripts.h"

#include <string.h>

/*
 * @PROGRAM@ and @FUNCTION@ stand for the program's name, and for the same with underscores.
 *
 * Readline splits words at = and at :. The script joins them for the program, and removes from each
 * candidate the part that readline already has.
 */
static const char bash[] =
	"# bash completion for @PROGRAM@, by `@PROGRAM@ completion bash`\n"
	"_@FUNCTION@()\n"
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
	"complete -o nosort -F _@FUNCTION@ @PROGRAM@\n";

static const char zsh[] =
	"#compdef @PROGRAM@\n"
	"# zsh completion for @PROGRAM@, by `@PROGRAM@ completion zsh`\n"
	"_@PROGRAM@()\n"
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
	"\t(($#described)) && _describe -V '@PROGRAM@' described\n"
	"\t(($#plain)) && compadd -V values -a -- plain\n"
	"\tif [[ -n $files ]]; then\n"
	"\t\tcompset -P '--*='\n"
	"\t\t_files\n"
	"\tfi\n"
	"}\n"
	"# if zsh loads it by name, complete at once; if it is sourced, register it\n"
	"if [[ ${funcstack[1]} == _@PROGRAM@ ]]; then\n"
	"\t_@PROGRAM@ \"$@\"\n"
	"else\n"
	"\tcompdef _@PROGRAM@ @PROGRAM@\n"
	"fi\n";

static const char fish[] =
	"# fish completion for @PROGRAM@, by `@PROGRAM@ completion fish`\n"
	"function __@FUNCTION@_complete\n"
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
	"complete -c @PROGRAM@ -f -k -a '(__@FUNCTION@_complete)'\n";

static const char *script_of(const char *shell)
{
	return !strcmp(shell, "bash")   ? bash
	       : !strcmp(shell, "zsh")  ? zsh
	       : !strcmp(shell, "fish") ? fish
	                                : NULL;
}

bool completion_is_for(const char *shell)
{
	return script_of(shell) != NULL;
}

static void print_function(FILE *f, const char *program)
{
	for (; *program; program++)
		putc(*program == '-' ? '_' : *program, f);
}

void completion_print(FILE *f, const char *shell, const char *program)
{
	const char *text = script_of(shell), *at;

	for (; (at = strchr(text, '@')) != NULL; text = at) {
		fwrite(text, 1, (size_t)(at - text), f);
		if (!strncmp(at, "@PROGRAM@", 9)) {
			fputs(program, f);
			at += 9;
		} else if (!strncmp(at, "@FUNCTION@", 10)) {
			print_function(f, program);
			at += 10;
		} else {
			putc(*at++, f);
		}
	}
	fputs(text, f);
}
