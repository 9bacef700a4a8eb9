module shiplog/load

go 1.24
