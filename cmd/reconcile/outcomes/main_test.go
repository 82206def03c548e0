package outcomes

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/workshop"
)

var shop workshop.Workshop

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("outcomes: left out with -short")
		return
	}
	os.Exit(shop.Main(m, "out"))
}
