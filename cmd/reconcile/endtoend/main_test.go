package endtoend

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/workshop"
)

var soak = flag.Bool("soak", false, "run the long forms")

var shop workshop.Workshop

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("end to end: left out with -short")
		return
	}
	os.Exit(shop.Main(m, "e2e"))
}
