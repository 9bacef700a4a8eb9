module shiplog/bench/logs

go 1.24
