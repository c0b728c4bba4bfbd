# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-tenantctl: ids, sizes, durations and rates as arguments
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"

cli_register_takes_every_good_form_of_a_unit() {
	local option text filter want
	init
	while read -r option text filter want; do
		ctl 0 register 42 "$option" "$text" -J
		json "$filter" "$want"
		ctl 0 deregister 42 -q
	done <<-'END'
		--rate 5000/s .tenants[0].quota.rate_per_sec 5000
		--rate 5k/s .tenants[0].quota.rate_per_sec 5000
		--rate 1.5k/s .tenants[0].quota.rate_per_sec 1500
		--rate 0/s .tenants[0].quota.rate_per_sec 0
		--rate 18446744073709551614/s .tenants[0].quota.rate_per_sec 18446744073709551614
		--rate unlimited .tenants[0].quota.rate_per_sec null
		--kernels 0 .tenants[0].quota.kernels 0
		--kernels 4294967294 .tenants[0].quota.kernels 4294967294
		--kernels unlimited .tenants[0].quota.kernels null
		--gpu-memory 2G .tenants[0].quota.gpu_memory_bytes 2147483648
		--gpu-memory 2GiB .tenants[0].quota.gpu_memory_bytes 2147483648
		--gpu-memory 1GB .tenants[0].quota.gpu_memory_bytes 1000000000
		--gpu-memory 1.5K .tenants[0].quota.gpu_memory_bytes 1536
		--gpu-memory 0 .tenants[0].quota.gpu_memory_bytes 0
		--gpu-memory 18446744073709551614 .tenants[0].quota.gpu_memory_bytes 18446744073709551614
		--gpu-memory unlimited .tenants[0].quota.gpu_memory_bytes null
		--budget 7=250ms .tenants[0].quota.budgets[0].budget_ns 250000000
		--budget 7=1.5s .tenants[0].quota.budgets[0].budget_ns 1500000000
		--budget 7=1h30m .tenants[0].quota.budgets[0].budget_ns 5400000000000
		--budget 7=0s .tenants[0].quota.budgets[0].budget_ns 0
		--budget 0=1s .tenants[0].quota.budgets[0].engagement 0
		--budget 0xffffffffffffffff=1s .tenants[0].quota.budgets[0].engagement 18446744073709551615
		--budget 7=18446744073709551614ns .tenants[0].quota.budgets[0].budget_ns 18446744073709551614
		--budget 7=unlimited .tenants[0].quota.budgets|length 0
	END
}

cli_register_refuses_a_bad_unit_and_changes_nothing() {
	local option text position
	init
	while read -r option text position; do
		ctl 2 register 42 "$option" "$text" --budget 9=1s
		has "$err" "k2k-tenantctl: $option '$text'"
		has "$err" "at position $position"
		is "$out" ""
		ctl 1 exists 42
	done <<-'END'
		--rate 5000 5
		--rate 5x/s 2
		--rate 5/H 3
		--rate 90/mins 4
		--rate 6000/minute 6
		--rate 10k/week 5
		--rate 0.5/s 2
		--rate 18446744073709551615/s 1
		--rate -5/s 1
		--kernels 4294967295 1
		--kernels 1.5 2
		--kernels 0x10 2
		--gpu-memory 2X 2
		--gpu-memory 2Gi 3
		--gpu-memory 0.1K 2
		--gpu-memory 1.5 2
		--gpu-memory 16E 1
		--gpu-memory 18446744073709551616 1
		--budget 7 2
		--budget 7=5 4
		--budget 7=5x 4
		--budget 7=30m1h 7
		--budget 7=1.5ns 4
		--budget x=1s 1
		--budget =1s 1
		--budget 18446744073709551616=1s 1
	END
}

cli_update_refuses_a_bad_unit_and_changes_nothing() {
	init
	ctl 0 register 42 --rate 7/s -q
	ctl 2 update 42 --rate 9/s --budget 7=1s --budget 8=1
	has "$err" "at position 4"
	ctl 0 show 42 -J
	json .tenants[0].quota.rate_per_sec 7
	json '.tenants[0].quota.budgets|length' 0
}

cli_ids_are_decimal_or_hexadecimal_over_all_of_u64() {
	init
	ctl 0 register 18446744073709551615 -J
	json .tenants[0].id 18446744073709551615
	ctl 0 register 0x10 -J
	json .tenants[0].id 16
	ctl 0 register 9007199254740993 -J
	json .tenants[0].id 9007199254740993
	ctl 0 show 0xffffffffffffffff -J
	json .tenants[0].id 18446744073709551615
	ctl 0 list -J
	json '[.tenants[].id]|join(" ")' "16 9007199254740993 18446744073709551615"
}

cli_a_bad_id_is_refused_with_its_position() {
	local command
	init
	for command in register update deregister show exists quota usage leases kernels "budget list"; do
		ctl 2 $command 12x
		has "$err" "ID '12x': a digit is expected at position 3"
		ctl 2 $command 18446744073709551616
		has "$err" "too large at position 1"
		ctl 2 $command ""
		has "$err" "nothing given at position 1"
		ctl 2 $command 0x
		has "$err" "at position 3"
		ctl 2 $command -- -1
		has "$err" "at position 1"
		ctl 2 $command " 1"
		has "$err" "at position 1"
	done
	ctl 2 usage 1 x
	has "$err" "ENG 'x'"
	ctl 2 usage --engagement x
	has "$err" "--engagement 'x'"
	ctl 2 budget set 1 2 x
	has "$err" "DUR 'x'"
	ctl 2 budget unset 1 x
	has "$err" "ENG 'x'"
	ctl 2 quota 1 --org x
	ctl 2 quota 1 --engagement x
	ctl 2 quota 1 --count 0
	has "$err" "too small at position 1"
	ctl 2 quota 1 --count 4294967297
	ctl 2 register -1
	has "$err" "at position 1"
}

cli_all_ids_are_read_before_the_first_tenant_is_removed() {
	init
	ctl 0 register 1 -q
	ctl 0 register 2 -q
	ctl 2 deregister 1 2 3x
	has "$err" "'3x'"
	ctl 2 deregister 1 2 0
	ctl 0 exists 1
	ctl 0 exists 2
}

cli_tenant_0_is_refused_clearly() {
	local command
	init
	for command in "register 0" "update 0 --rate 1/s" "deregister 0" "budget set 0 7 1s" "budget unset 0 7" "register 0x0"; do
		ctl 2 $command -J
		error_object K2K_EUNSPECIFIED
		has "$err" "ids are 1 to 18446744073709551615"
	done
	# 0 does not mean all tenants either
	for command in "show 0" "usage 0" "usage 0 7" "leases 0" "kernels 0" "budget list 0"; do
		ctl 3 $command
	done
	ctl 1 exists 0
}

cli_timeout_is_a_duration() {
	init
	ctl 0 list --timeout 250ms
	ctl 0 list --timeout 0s
	ctl 0 list --timeout unlimited
	ctl 0 register 1 --timeout unlimited -q
	# a number without a unit means seconds
	ctl 0 list --timeout 5
	ctl 0 list --timeout 0.5
	ctl 2 list --timeout 0.0000000001
	has "$err" "a number without a unit means seconds"
	ctl 2 list --timeout 5.
	ctl 2 list --timeout 5x
	ctl 2 list --timeout 1.5ns
}

cli_init_refuses_bad_sizes_modes_and_groups() {
	ctl 2 init --max-tenants 0
	ctl 2 init --max-tenants 16777217
	ctl 2 init --max-engagements 268435457
	ctl 2 init --max-leases x
	ctl 2 init --max-budgets -1
	ctl 2 init --mode 0440
	has "$err" "must let the owner read and write"
	ctl 2 init --mode 068
	has "$err" "at position 3"
	ctl 2 init --mode 01660
	ctl 2 init --group no-such-group-here
	has "$err" "no such group"
	ctl 6 info
}

run_tests "$@"
