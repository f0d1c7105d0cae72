package main

import (
	"github.com/rubrica-firma/rubrica/api/staff"
)

// desk are the rooms of the officers' desk, behind its door.
func (*RegistrarServeCommand) desk(registrar, *staff.Door) (house, error) { return house{}, nil }
